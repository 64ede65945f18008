//! The catalog of the tables that PostgreSQL's search path finds.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use crate::entity::note_relation;

use super::{
    Catalog,
    table::{Action, Column, ForeignKey, Storage, Tables, UniqueKey},
};

/// The tables by the names that find them: of relations with one name, the path's first hides the others, even when it
/// is no table.
const TABLES: &str = "tables AS (\
    SELECT oid, relname FROM (\
        SELECT DISTINCT ON (c.relname) c.oid, c.relname, c.relkind \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = ANY (current_schemas(false)) \
        ORDER BY c.relname, array_position(current_schemas(false), n.nspname)\
    ) AS found WHERE relkind IN ('r', 'p'))";

/// The types that domains stand for in the end, and their parameters.
const DOMAINS: &str = "domains(id, base, modifier) AS (\
    SELECT oid, typbasetype, typtypmod FROM pg_catalog.pg_type WHERE typtype = 'd' \
    UNION ALL \
    SELECT d.id, b.typbasetype, CASE WHEN d.modifier >= 0 THEN d.modifier ELSE b.typtypmod END \
    FROM domains d JOIN pg_catalog.pg_type b ON b.oid = d.base WHERE b.typtype = 'd')";

/// The tables with triggers or rules of users, or with partitions or heirs that have some.
const ACTED_ON: &str = "family(root, member) AS (\
    SELECT oid, oid FROM tables \
    UNION SELECT f.root, i.inhrelid FROM family f JOIN pg_catalog.pg_inherits i ON i.inhparent = f.member), \
    acted_on AS (\
    SELECT DISTINCT f.root FROM family f WHERE \
        EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = f.member AND NOT t.tgisinternal) \
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = f.member AND r.ev_type <> '1'))";

const COLUMNS: &str = "SELECT t.relname, a.attname, a.attgenerated <> '' OR a.attidentity = 'a', \
    NOT (a.attnotnull OR y.typnotnull), coalesce(b.typname, y.typname), \
    CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE coalesce(d.modifier, -1) END, \
    coalesce(NOT l.collisdeterministic, false), t.oid IN (SELECT root FROM acted_on), \
    EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k \
        WHERE k.conrelid = t.oid AND k.condeferrable AND k.contype <> 'f'), t.oid::int8 \
    FROM tables t \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
    JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
    LEFT JOIN (domains d JOIN pg_catalog.pg_type b ON b.oid = d.base AND b.typtype <> 'd') ON d.id = a.atttypid \
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
    ORDER BY t.relname, a.attnum";

/// Partitions' copies of their table's foreign keys are left out.
const FOREIGN_KEYS: &str = "SELECT k.oid::int8, c.relname, p.relname, ca.attname, pa.attname, \
    k.confdeltype::text, k.confupdtype::text, k.condeferrable \
    FROM pg_catalog.pg_constraint k \
    JOIN tables c ON c.oid = k.conrelid JOIN tables p ON p.oid = k.confrelid \
    CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS pair(child, parent, place) \
    JOIN pg_catalog.pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = pair.child \
    JOIN pg_catalog.pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = pair.parent \
    WHERE k.contype = 'f' AND k.conparentid = 0 \
    ORDER BY c.relname, k.conname, pair.place";

/// `indnullsnotdistinct` came with PostgreSQL 15.
const INDEXES: &str = "SELECT t.relname, n.relname, i.indisprimary, a.attname, \
    i.indpred IS NULL AND NOT i.indisexclusion, NOT i.indimmediate, \
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) \
    FROM pg_catalog.pg_index i \
    JOIN tables t ON t.oid = i.indrelid \
    JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid \
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS part(attnum, place) \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = part.attnum AND part.attnum > 0 \
    WHERE (i.indisunique OR i.indisexclusion) AND part.place <= i.indnkeyatts \
    ORDER BY t.relname, n.relname, part.place";

pub(super) async fn load<C: ConnectionTrait>(conn: &C) -> Result<Catalog, DbErr> {
    let mut tables = tables(&query(conn, &[TABLES, DOMAINS, ACTED_ON], COLUMNS).await?)?;
    add_unique_keys(&mut tables, &query(conn, &[TABLES], INDEXES).await?)?;
    let foreign_keys = foreign_keys(&query(conn, &[TABLES], FOREIGN_KEYS).await?)?;
    Ok(Catalog {
        tables,
        foreign_keys,
        folds_case: false,
    })
}

async fn query<C: ConnectionTrait>(conn: &C, parts: &[&str], select: &str) -> Result<Vec<QueryResult>, DbErr> {
    let sql = format!("WITH RECURSIVE {} {select}", parts.join(", "));
    conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await
}

fn tables(rows: &[QueryResult]) -> Result<Tables, DbErr> {
    let mut tables = Tables::new();
    for row in rows {
        let name: String = row.try_get_by_index(0)?;
        if !tables.contains_key(&name)
            && let Ok(number) = row.try_get_by_index::<i64>(9)?.try_into()
        {
            note_relation(number, &name);
        }
        let table = tables.entry(name).or_default();
        let storage = storage(row.try_get_by_index(4)?, row.try_get_by_index(5)?);
        let column = Column {
            name: row.try_get_by_index(1)?,
            generated: row.try_get_by_index(2)?,
            nullable: row.try_get_by_index(3)?,
            loose: row.try_get_by_index::<bool>(6)? || is_loose(&storage),
            storage,
        };
        // A generated column has its place in the list, and `DEFAULT` for a value.
        table.insertable.push(column.name.clone());
        table.columns.push(column);
        table.altered = row.try_get_by_index(7)?;
        table.deferrable = row.try_get_by_index(8)?;
    }
    Ok(tables)
}

/// Whether values of different texts are equal in the type, or a value may be stored as another.
fn is_loose(storage: &Storage) -> bool {
    match storage.data_type.as_str() {
        // Padding; letters' case; 1.0 and 1.00; 0 and -0; 30 days and a month; the order of an object's members.
        "bpchar" | "citext" | "numeric" | "float4" | "float8" | "interval" | "jsonb" => true,
        "time" | "timetz" | "timestamp" | "timestamptz" => storage.fraction < Some(6),
        _ => false,
    }
}

/// What a type's modifier says of it.
fn storage(data_type: String, modifier: i32) -> Storage {
    // The modifiers of types of variable length count the length's own four bytes.
    let beyond_header = u32::try_from(modifier)
        .ok()
        .and_then(|modifier| modifier.checked_sub(4));
    let mut storage = Storage::default();
    match data_type.as_str() {
        "varchar" | "bpchar" => storage.length = beyond_header,
        "bit" | "varbit" => storage.length = u32::try_from(modifier).ok(),
        "numeric" => {
            storage.precision = beyond_header.map(|packed| packed >> 16);
            // Eleven bits, the highest of which is the sign.
            storage.scale = beyond_header.map(|packed| ((packed & 0x7ff) ^ 0x400).cast_signed() - 0x400);
        }
        "time" | "timetz" | "timestamp" | "timestamptz" => {
            storage.fraction = Some(u32::try_from(modifier).unwrap_or(6));
        }
        _ => {}
    }
    Storage { data_type, ..storage }
}

fn add_unique_keys(tables: &mut Tables, rows: &[QueryResult]) -> Result<(), DbErr> {
    for row in rows {
        let Some(table) = tables.get_mut(&row.try_get_by_index::<String>(0)?) else {
            continue;
        };
        let name: String = row.try_get_by_index(1)?;
        let column: Option<String> = row.try_get_by_index(3)?;
        let whole: bool = row.try_get_by_index(4)?;
        let key = if row.try_get_by_index(2)? {
            table.primary.get_or_insert_with(|| UniqueKey::plain(name))
        } else {
            table.unique_named(name)
        };
        key.exact &= whole && column.is_some();
        key.deferred = row.try_get_by_index(5)?;
        key.nulls_equal = row.try_get_by_index(6)?;
        key.columns.extend(column);
    }
    Ok(())
}

fn foreign_keys(rows: &[QueryResult]) -> Result<Vec<ForeignKey>, DbErr> {
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    let mut found: Vec<ForeignKey> = Vec::new();
    for row in rows {
        let place = *places.entry(row.try_get_by_index(0)?).or_insert(found.len());
        if place == found.len() {
            found.push(ForeignKey {
                child: row.try_get_by_index(1)?,
                child_columns: Vec::new(),
                parent: row.try_get_by_index(2)?,
                parent_columns: Vec::new(),
                on_delete: action(&row.try_get_by_index::<String>(5)?),
                on_update: action(&row.try_get_by_index::<String>(6)?),
                deferred: row.try_get_by_index(7)?,
            });
        }
        found[place].child_columns.push(row.try_get_by_index(3)?);
        found[place].parent_columns.push(row.try_get_by_index(4)?);
    }
    Ok(found)
}

fn action(letter: &str) -> Action {
    match letter {
        "c" => Action::Cascade,
        "n" | "d" => Action::Reset,
        "r" => Action::Restrict,
        _ => Action::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_says_what_a_column_holds_exactly() {
        let of = |name: &str, modifier: i32| storage(name.to_owned(), modifier);
        assert_eq!(of("varchar", 24).length, Some(20));
        assert_eq!(of("varchar", -1).length, None);
        assert_eq!(of("bit", 8).length, Some(8));
        let numeric = of("numeric", (10 << 16 | 2) + 4);
        assert_eq!((numeric.precision, numeric.scale), (Some(10), Some(2)));
        let thousands = of("numeric", (2 << 16 | (-3 & 0x7ff)) + 4);
        assert_eq!((thousands.precision, thousands.scale), (Some(2), Some(-3)));
        assert_eq!(of("numeric", -1).scale, None);
        assert_eq!(of("timestamptz", -1).fraction, Some(6));
        assert_eq!(of("timestamp", 0).fraction, Some(0));
        assert_eq!(of("int8", -1).fraction, None);
    }

    #[test]
    fn a_key_is_loose_where_one_value_has_two_texts() {
        let loose = |name: &str, modifier: i32| is_loose(&storage(name.to_owned(), modifier));
        assert!(loose("bpchar", 8) && loose("citext", -1) && loose("numeric", -1) && loose("timestamptz", 3));
        assert!(!loose("text", -1) && !loose("uuid", -1) && !loose("int8", -1) && !loose("timestamptz", -1));
    }
}
