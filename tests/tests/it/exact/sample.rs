//! A table with a column of every type that all three databases take, and of some that none takes exactly.

use grove_crdt::Crdt;
use proptest::{collection::vec, option, prelude::*};
use sea_orm::entity::prelude::{DateTime, *};
use sea_orm::sqlx::types::chrono::{self, DateTime as Chrono, Utc};
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(1))")]
pub enum Letter {
    #[sea_orm(string_value = "G")]
    Good,
    #[sea_orm(string_value = "B")]
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i32", db_type = "Integer")]
pub enum Number {
    #[sea_orm(num_value = 1)]
    Good,
    #[sea_orm(num_value = -7)]
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "mood")]
pub enum Native {
    #[sea_orm(string_value = "good")]
    Good,
    #[sea_orm(string_value = "bad")]
    Bad,
}

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "samples")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    #[crdt(lww)]
    pub flag: bool,
    #[crdt(lww)]
    pub small: i16,
    #[crdt(lww)]
    pub int: i32,
    #[crdt(lww)]
    pub big: i64,
    #[crdt(lww)]
    pub single: f32,
    #[crdt(lww)]
    pub double: f64,
    #[crdt(lww)]
    pub plain_decimal: Decimal,
    #[crdt(lww)]
    #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
    pub price: Decimal,
    #[crdt(lww)]
    pub string: String,
    #[crdt(lww)]
    #[sea_orm(column_type = "String(StringLen::N(10))")]
    pub short: String,
    #[crdt(lww)]
    #[sea_orm(column_type = "Char(Some(5))")]
    pub padded: String,
    #[crdt(lww)]
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[crdt(lww)]
    pub bytes: Vec<u8>,
    #[crdt(lww)]
    #[sea_orm(column_type = "Binary(4)")]
    pub four: Vec<u8>,
    #[crdt(lww)]
    #[sea_orm(column_type = "Blob")]
    pub blob: Vec<u8>,
    #[crdt(lww)]
    pub json: Json,
    #[crdt(lww)]
    #[sea_orm(column_type = "JsonBinary")]
    pub jsonb: Json,
    #[crdt(lww)]
    pub uuid: Uuid,
    #[crdt(lww)]
    pub text_uuid: TextUuid,
    #[crdt(lww)]
    pub date: Date,
    #[crdt(lww)]
    pub time: Time,
    #[crdt(lww)]
    pub datetime: DateTime,
    #[crdt(lww)]
    pub utc: DateTimeUtc,
    #[crdt(lww)]
    pub zoned: DateTimeWithTimeZone,
    #[crdt(lww)]
    pub time_date: TimeDate,
    #[crdt(lww)]
    pub time_time: TimeTime,
    #[crdt(lww)]
    pub time_datetime: TimeDateTime,
    #[crdt(lww)]
    pub time_zoned: TimeDateTimeWithTimeZone,
    #[crdt(lww)]
    pub letter: Letter,
    #[crdt(lww)]
    pub number: Number,
    #[crdt(lww)]
    pub native: Native,
    #[crdt(lww)]
    pub maybe_int: Option<i64>,
    #[crdt(lww)]
    pub maybe_text: Option<String>,
    #[crdt(lww)]
    pub maybe_decimal: Option<Decimal>,
    #[crdt(lww)]
    pub maybe_zoned: Option<DateTimeWithTimeZone>,
    #[crdt(lww)]
    pub maybe_native: Option<Native>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Which values to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Those that every database's column holds exactly.
    Exact,
    /// Those that a column of some database takes, but not exactly.
    Inexact,
    /// Any that have a form; some columns refuse them.
    Any,
}

use Choice::{Any, Exact, Inexact};

fn decimal(choice: Choice, scale: u32) -> BoxedStrategy<Decimal> {
    let of = |mantissa: i128, scale: u32| Decimal::from_i128_with_scale(mantissa, scale);
    match choice {
        // A zero's scale is lost by one of the drivers, and trailing zeros by SQLite.
        Exact if scale == 0 => (-999_999_999..=999_999_999_i128).prop_map(move |m| of(m, 0)).boxed(),
        Exact => (-9_999_999..=9_999_999_i128, 1..=9_i128)
            .prop_map(move |(m, last)| of(m * 10 + last, scale))
            .boxed(),
        Inexact => (-9_999_999..=9_999_999_i128, 0..=6u32)
            .prop_map(move |(m, scale)| of(m, scale))
            .boxed(),
        Any => {
            let any = (-(1_i128 << 95)..=(1_i128 << 95), 0..=28u32).prop_map(move |(m, scale)| of(m, scale));
            seldom(any, decimal(Inexact, scale))
        }
    }
}

fn text(choice: Choice, most: usize) -> BoxedStrategy<String> {
    let of = |range: std::ops::RangeInclusive<usize>, spaces: bool| {
        vec(
            prop_oneof!["[a-zA-Z0-9]", Just("𝄞".to_owned()), "[äß\\\\'\"%_\u{1}\n\t]"],
            range,
        )
        .prop_map(move |parts| parts.concat() + if spaces { "  " } else { "" })
        .boxed()
    };
    match choice {
        Exact => of(0..=most, false),
        Inexact => (0..=1usize)
            .prop_flat_map(move |spaces| of(0..=most, spaces == 1))
            .boxed(),
        Any => seldom(of(0..=300, true), text(Inexact, most)),
    }
}

/// Seconds since 1970, nanoseconds. MySQL's timestamps end in 2038, and have no fraction unless it is asked for.
fn moment(choice: Choice) -> BoxedStrategy<Chrono<Utc>> {
    let of = |(seconds, nanos): (i64, u32)| Chrono::from_timestamp(seconds, nanos).expect("a moment in range");
    match choice {
        Exact => (1..=2_147_483_647_i64, Just(0)).prop_map(of).boxed(),
        Inexact => (
            1..=2_147_483_646_i64,
            prop_oneof![0..1_000_000_000u32, (0..1_000_000u32).prop_map(|v| v * 1_000)],
        )
            .prop_map(of)
            .boxed(),
        Any => {
            let any = (-62_135_596_800..=253_402_300_799_i64, 0..1_000_000_000u32).prop_map(of);
            seldom(any, moment(Inexact))
        }
    }
}

fn document(choice: Choice) -> BoxedStrategy<Json> {
    let number = match choice {
        Exact => (-1e6..1e6f64).prop_map(|v| json!(v + 0.25)).boxed(),
        _ => any::<f64>()
            .prop_filter_map("finite", |v| serde_json::Number::from_f64(v).map(Json::Number))
            .boxed(),
    };
    let odd = prop_oneof![
        Just(json!([1e16])),
        Just(json!([-0.0])),
        Just(json!({"b": 1e22, "a": u64::MAX}))
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text(Inexact, 8).prop_map(Json::from),
        number,
    ];
    let nested = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec(("[a-zA-Z]{0,3}", inner), 0..4).prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    });
    if choice == Exact {
        nested.boxed()
    } else {
        prop_oneof![nested, odd].boxed()
    }
}

/// The odd numbers that floats have.
fn double() -> impl Strategy<Value = f64> {
    let finite = any::<f64>().prop_filter("finite", |v| v.is_finite());
    prop_oneof![
        finite,
        Just(-0.0),
        Just(5e-324),
        Just(f64::MIN),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE)
    ]
}

fn single() -> impl Strategy<Value = f32> {
    let finite = any::<f32>().prop_filter("finite", |v| v.is_finite());
    prop_oneof![
        finite,
        Just(-0.0),
        Just(1e-45),
        Just(f32::MIN),
        Just(f32::MAX),
        Just(f32::MIN_POSITIVE)
    ]
}

/// Mostly values that every column takes: a row is refused for one value, and the others are to be seen too.
fn seldom<T: std::fmt::Debug + 'static>(
    any: impl Strategy<Value = T> + 'static,
    mostly: BoxedStrategy<T>,
) -> BoxedStrategy<T> {
    prop_oneof![1 => any, 30 => mostly].boxed()
}

/// A row of such values.
pub(super) fn model(choice: Choice) -> impl Strategy<Value = Model> {
    let zone = |minutes: i32| chrono::FixedOffset::east_opt(minutes * 60).expect("an offset");
    let numbers = (
        any::<bool>(),
        any::<i16>(),
        any::<i32>(),
        any::<i64>(),
        single(),
        double(),
    );
    let decimals = (decimal(choice, 0), decimal(choice, 2), option::of(decimal(choice, 0)));
    let padded = match choice {
        Exact => "[a-z]{5}".boxed(),
        _ => text(choice, 3),
    };
    let texts = (
        text(choice, 200),
        text(choice, 8),
        padded,
        text(choice, 2_000),
        option::of(text(choice, 200)),
    );
    let four = if choice == Exact {
        vec(any::<u8>(), 4)
    } else {
        vec(any::<u8>(), 0..=4)
    };
    let blobs = (vec(any::<u8>(), 0..200), four, vec(any::<u8>(), 0..2_000));
    let others = (document(choice), document(choice), any::<u128>(), any::<u128>());
    let times = (
        moment(choice),
        -720..=840i32,
        moment(choice),
        option::of(moment(choice)),
    );
    let enums = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        option::of(any::<i64>()),
        option::of(any::<bool>()),
    );
    (numbers, decimals, texts, blobs, others, times, enums).prop_map(
        move |(numbers, decimals, texts, blobs, others, times, enums)| {
            let (moment, offset, other, maybe) = times;
            let time_of = |v: Chrono<Utc>| {
                let nanos = i128::from(v.timestamp()) * 1_000_000_000 + i128::from(v.timestamp_subsec_nanos());
                TimeDateTimeWithTimeZone::from_unix_timestamp_nanos(nanos).expect("a moment in range")
            };
            let instant = time_of(other);
            let native = |good: bool| if good { Native::Good } else { Native::Bad };
            Model {
                id: 0,
                flag: numbers.0,
                small: numbers.1,
                int: numbers.2,
                big: numbers.3,
                single: numbers.4,
                double: numbers.5,
                plain_decimal: decimals.0,
                price: decimals.1,
                string: texts.0,
                short: texts.1,
                padded: texts.2,
                text: texts.3,
                bytes: blobs.0,
                four: blobs.1,
                blob: blobs.2,
                json: others.0,
                jsonb: others.1,
                uuid: Uuid::from_u128(others.2),
                text_uuid: TextUuid(Uuid::from_u128(others.3)),
                date: moment.date_naive(),
                time: moment.time(),
                datetime: other.naive_utc(),
                utc: moment,
                zoned: moment.with_timezone(&zone(offset)),
                time_date: instant.date(),
                time_time: instant.time(),
                time_datetime: TimeDateTime::new(instant.date(), instant.time()),
                time_zoned: instant,
                letter: if enums.0 { Letter::Good } else { Letter::Bad },
                number: if enums.1 { Number::Good } else { Number::Bad },
                native: native(enums.2),
                maybe_int: enums.3,
                maybe_text: texts.4,
                maybe_decimal: decimals.2,
                maybe_zoned: maybe.map(|v| v.fixed_offset()),
                maybe_native: enums.4.map(native),
            }
        },
    )
}
