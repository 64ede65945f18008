//! Judging a statement by its words: those that say enough, and those that the parser does not know.

use sea_orm::DbBackend;

use crate::{
    error::Error,
    replica::{
        court::{Court, out_of_sight, transaction_control},
        source::Source,
        statement::{Verdict, refusal},
    },
};

impl Court<'_> {
    /// The verdict on a statement whose first words are enough for it.
    ///
    /// # Errors
    ///
    /// It can't be captured, whatever else it says.
    pub(super) fn judge_words(&self, source: &Source, sql: &str) -> Result<Option<Verdict>, Error> {
        if !source.is_single() {
            return Ok(None);
        }
        let words: Vec<_> = source.words().take(2).collect();
        let second = words.get(1).map_or("", String::as_str);
        let my_sql = self.backend == DbBackend::MySql;
        Ok(Some(match words.first().map_or("", String::as_str) {
            "BEGIN" | "COMMIT" | "END" | "ABORT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
                return Err(transaction_control());
            }
            "START" | "PREPARE" if second == "TRANSACTION" => return Err(transaction_control()),
            "XA" | "LOCK" | "UNLOCK" if my_sql => return Err(transaction_control()),
            "CALL" | "EXECUTE" => return Err(out_of_sight()),
            // It names a text that is run by EXECUTE.
            "PREPARE" | "HANDLER" | "DO" if my_sql => Verdict::Harmless,
            "DO" if self.backend == DbBackend::Postgres => {
                self.refuse_mention(sql, "a block of code that names a replicated table")?;
                if source.text().to_ascii_lowercase().contains("execute") {
                    return Err(out_of_sight());
                }
                Verdict::ChangesSchema
            }
            "LOAD" if my_sql => {
                self.refuse_mention(sql, "`LOAD` into a replicated table")?;
                Verdict::Harmless
            }
            "ANALYZE" if my_sql => {
                let verbs = ["INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"];
                if source.words().any(|word| verbs.contains(&word.as_str())) {
                    self.refuse_mention(sql, "a statement that is analyzed, and run,")?;
                }
                Verdict::ChangesSchema
            }
            "SET" => return self.judge_set(sql, second).map(Some),
            _ => return Ok(None),
        }))
    }

    fn judge_set(&self, sql: &str, second: &str) -> Result<Verdict, Error> {
        if second == "STATEMENT" && self.backend == DbBackend::MySql {
            self.refuse_mention(sql, "`SET STATEMENT … FOR` a statement that names a replicated table")?;
            return Ok(Verdict::ChangesSchema);
        }
        let text = sql.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["autocommit"]) {
            return Err(transaction_control());
        }
        if says(&["backslash", "conforming", "ansi_quotes"]) {
            return Err(refusal(
                "a setting that changes how strings and names are read",
                "leave it as it is",
            ));
        }
        Ok(if says(&["password"]) {
            Verdict::ChangesSchema
        } else {
            Verdict::Harmless
        })
    }

    /// The verdict on a statement that the parser can't read.
    pub(super) fn unparsed(&self, source: &Source, sql: &str) -> Result<Verdict, Error> {
        const DEFINING: [&str; 12] = [
            "CREATE", "ALTER", "COMMENT", "GRANT", "REVOKE", "REINDEX", "OPTIMIZE", "REPAIR", "CHECK", "CLUSTER",
            "REFRESH", "FLUSH",
        ];
        let first = source.words().next().unwrap_or_default();
        let defines = DEFINING.contains(&first.as_str()) && source.is_single() && !sql.contains("_grove_");
        // A table made by a query could be made by one that writes.
        let from_query = ["INSERT", "UPDATE", "DELETE"];
        let writes = || source.words().any(|word| from_query.contains(&word.as_str()));
        let code = ["TRIGGER", "FUNCTION", "PROCEDURE", "EVENT", "RULE"];
        let is_code = || source.words().take(6).any(|word| code.contains(&word.as_str()));
        if defines && (is_code() || !writes()) {
            return Ok(Verdict::ChangesSchema);
        }
        self.unreadable(sql)
    }

    /// The verdict on a text that can't be read: it is refused when it names what matters.
    pub(super) fn unreadable(&self, sql: &str) -> Result<Verdict, Error> {
        self.refuse_mention(sql, "a statement that can't be parsed and names a replicated table")?;
        Ok(match self.backend {
            DbBackend::Sqlite => Verdict::Harmless,
            _ => Verdict::ChangesSchema,
        })
    }

    fn refuse_mention(&self, sql: &str, what: &str) -> Result<(), Error> {
        if !self.mentions(sql) {
            return Ok(());
        }
        Err(refusal(what, "write it in plainer SQL, or with SeaORM's builders"))
    }
}
