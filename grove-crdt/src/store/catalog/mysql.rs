//! The catalog of the current database of MySQL or MariaDB.
//!
//! The servers show an account only what it has some right to; an account that may write the tables sees their columns
//! and keys, but their triggers only with the right `TRIGGER`.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use super::{
    Catalog,
    table::{Action, Column, ForeignKey, Storage, Tables, UniqueKey, cased_column, cased_table},
};

/// MariaDB answers from one database's files only when `database()` stands in the condition on each table by itself; a
/// join of two of these tables would read all databases. The types that the two servers give their columns differ,
/// hence the casts.
const COLUMNS: &str = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), CAST(extra AS CHAR), \
    CAST(is_nullable = 'YES' AS SIGNED), CAST(data_type AS CHAR), CAST(collation_name AS CHAR), \
    CAST(character_maximum_length AS SIGNED), CAST(numeric_precision AS SIGNED), CAST(numeric_scale AS SIGNED), \
    CAST(datetime_precision AS SIGNED), CAST(@@lower_case_table_names AS SIGNED) \
    FROM information_schema.columns WHERE table_schema = database() AND table_name IN (\
        SELECT table_name FROM information_schema.tables \
        WHERE table_schema = database() AND table_type NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')) \
    ORDER BY table_name, ordinal_position";

const INDEXES: &str = "SELECT CAST(table_name AS CHAR), CAST(index_name AS CHAR), CAST(column_name AS CHAR), \
    CAST(sub_part IS NULL AS SIGNED) FROM information_schema.statistics \
    WHERE table_schema = database() AND non_unique = 0 ORDER BY table_name, index_name, seq_in_index";

const FOREIGN_KEYS: &str = "SELECT CAST(table_name AS CHAR), CAST(constraint_name AS CHAR), CAST(column_name AS CHAR), \
    CAST(referenced_table_name AS CHAR), CAST(referenced_column_name AS CHAR) \
    FROM information_schema.key_column_usage \
    WHERE table_schema = database() AND referenced_table_schema = database() \
    ORDER BY table_name, constraint_name, ordinal_position";

const ACTIONS: &str = "SELECT CAST(table_name AS CHAR), CAST(constraint_name AS CHAR), CAST(delete_rule AS CHAR), \
    CAST(update_rule AS CHAR) FROM information_schema.referential_constraints WHERE constraint_schema = database()";

const TRIGGERS: &str =
    "SELECT CAST(event_object_table AS CHAR) FROM information_schema.triggers WHERE event_object_schema = database()";

pub(super) async fn load<C: ConnectionTrait>(conn: &C) -> Result<Catalog, DbErr> {
    let columns = query(conn, COLUMNS).await?;
    let folds_case = match columns.first() {
        Some(row) => row.try_get_by_index::<i64>(10)? != 0,
        None => false,
    };
    let mut tables = tables(&columns)?;
    add_unique_keys(&mut tables, &query(conn, INDEXES).await?)?;
    let actions = actions(&query(conn, ACTIONS).await?)?;
    let foreign_keys = foreign_keys(&tables, &actions, &query(conn, FOREIGN_KEYS).await?, folds_case)?;
    for row in query(conn, TRIGGERS).await? {
        let table = row.try_get_by_index(0)?;
        let table = if folds_case { cased_table(&tables, table) } else { table };
        if let Some(table) = tables.get_mut(&table) {
            table.altered = true;
        }
    }
    Ok(Catalog {
        tables,
        foreign_keys,
        folds_case,
    })
}

async fn query<C: ConnectionTrait>(conn: &C, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await
}

fn tables(rows: &[QueryResult]) -> Result<Tables, DbErr> {
    let mut tables = Tables::new();
    for row in rows {
        let table = tables.entry(row.try_get_by_index(0)?).or_default();
        let extra = row.try_get_by_index::<String>(2)?.to_ascii_uppercase();
        let number = |index: usize| row.try_get_by_index::<Option<i64>>(index);
        let unsigned = |index: usize| Ok::<_, DbErr>(number(index)?.and_then(|number| u32::try_from(number).ok()));
        let storage = Storage {
            data_type: row.try_get_by_index::<String>(4)?.to_ascii_lowercase(),
            length: unsigned(6)?,
            precision: unsigned(7)?,
            scale: number(8)?.and_then(|scale| i32::try_from(scale).ok()),
            fraction: unsigned(9)?,
        };
        let collation: Option<String> = row.try_get_by_index(5)?;
        let column = Column {
            name: row.try_get_by_index(1)?,
            generated: extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED"),
            nullable: row.try_get_by_index::<i64>(3)? != 0,
            loose: is_loose(&storage, collation.as_deref()),
            storage,
        };
        // A generated column has its place in the list, and `DEFAULT` for a value.
        if !extra.contains("INVISIBLE") {
            table.insertable.push(column.name.clone());
        }
        table.columns.push(column);
        table.altered |= extra.contains("ON UPDATE");
    }
    Ok(tables)
}

/// Whether values of different texts are equal in the column, or a value may be stored as another.
///
/// Most collations have equal letters; those named `_bin` have none, but compare as if padded with spaces, all but the
/// few that don't. A `CHAR` loses its spaces whatever its collation, and a `BINARY` is filled up with zeros, unless it
/// is as long as a UUID, which fills it.
fn is_loose(storage: &Storage, collation: Option<&str>) -> bool {
    match storage.data_type.as_str() {
        "char" | "enum" | "set" | "decimal" | "float" | "double" | "json" => true,
        "binary" => storage.length != Some(16),
        "time" | "datetime" | "timestamp" => storage.fraction < Some(6),
        _ => collation.is_some_and(|name| !name.ends_with("_nopad_bin") && !name.ends_with("_0900_bin")),
    }
}

fn add_unique_keys(tables: &mut Tables, rows: &[QueryResult]) -> Result<(), DbErr> {
    for row in rows {
        let Some(table) = tables.get_mut(&row.try_get_by_index::<String>(0)?) else {
            continue;
        };
        let name: String = row.try_get_by_index(1)?;
        // MySQL's indexes may have expressions.
        let column: Option<String> = row.try_get_by_index(2)?;
        let whole = row.try_get_by_index::<i64>(3)? != 0;
        let key = if name == "PRIMARY" {
            table.primary.get_or_insert_with(|| UniqueKey::plain(name))
        } else {
            table.unique_named(name)
        };
        key.exact &= whole && column.is_some();
        key.columns.extend(column);
    }
    Ok(())
}

/// What each foreign key does on delete and on update, by table and name.
type Actions = BTreeMap<(String, String), (Action, Action)>;

fn actions(rows: &[QueryResult]) -> Result<Actions, DbErr> {
    let mut actions = Actions::new();
    for row in rows {
        let action = |index: usize| Ok::<_, DbErr>(Action::named(&row.try_get_by_index::<String>(index)?));
        actions.insert(
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?),
            (action(2)?, action(3)?),
        );
    }
    Ok(actions)
}

fn foreign_keys(
    tables: &Tables,
    actions: &Actions,
    rows: &[QueryResult],
    folds_case: bool,
) -> Result<Vec<ForeignKey>, DbErr> {
    let mut found: BTreeMap<(String, String), ForeignKey> = BTreeMap::new();
    for row in rows {
        let name: (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        // An action that is not told is taken for one that acts: its rows are looked at then.
        let (on_delete, on_update) = *actions.get(&name).unwrap_or(&(Action::Cascade, Action::Cascade));
        let cased = |table: String| {
            if folds_case { cased_table(tables, table) } else { table }
        };
        let child = cased(name.0.clone());
        let parent = cased(row.try_get_by_index(3)?);
        let child_column = cased_column(tables, &child, row.try_get_by_index(2)?);
        let parent_column = cased_column(tables, &parent, row.try_get_by_index(4)?);
        let key = found.entry(name).or_insert_with(|| ForeignKey {
            child,
            child_columns: Vec::new(),
            parent,
            parent_columns: Vec::new(),
            on_delete,
            on_update,
            // InnoDB checks at once.
            deferred: false,
        });
        key.child_columns.push(child_column);
        key.parent_columns.push(parent_column);
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_loose_where_one_value_has_two_texts() {
        let loose = |data_type: &str, length: Option<u32>, collation: Option<&str>| {
            let data_type = data_type.to_owned();
            let storage = Storage {
                data_type,
                length,
                ..Storage::default()
            };
            is_loose(&storage, collation)
        };
        for collation in [
            "utf8mb4_general_ci",
            "utf8mb4_0900_ai_ci",
            "utf8mb4_0900_as_cs",
            "utf8mb4_bin",
        ] {
            assert!(loose("varchar", Some(36), Some(collation)), "{collation}");
        }
        for collation in ["utf8mb4_0900_bin", "utf8mb4_nopad_bin"] {
            assert!(!loose("varchar", Some(36), Some(collation)), "{collation}");
            assert!(loose("char", Some(36), Some(collation)), "{collation}");
        }
        assert!(!loose("binary", Some(16), None) && loose("binary", Some(20), None));
        assert!(!loose("bigint", None, None) && !loose("varbinary", Some(64), None) && !loose("uuid", None, None));
    }
}
