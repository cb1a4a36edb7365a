//! Records as Parquet files: the long tables of `queuelab-record`, a column per field, for pandas, DuckDB and the like.
//!
//! The same records give the same bytes: nothing of the time or the machine is in them. This crate exists to keep its one library away
//! from everybody else.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use queuelab_record::{MetricRow, RunRecord, SeriesRow, metric_rows, series_rows};

/// All metrics of all runs: `scenario`, `seed`, `overrides`, `metric`, `of`, `phase` (absent: all, the whole run), `value` (absent: never),
/// `unit`, `at_least`. A row group per run.
///
/// # Errors
/// What the library says.
pub fn metrics(records: &[RunRecord]) -> Result<Vec<u8>, ParquetError> {
    write(METRICS, records, |record, group| {
        let rows = metric_rows(record);
        texts(group, &rows, |row: &MetricRow| Some(&row.scenario))?;
        // Bits of an unsigned number, as its logical type says.
        numbers::<Int64Type, _>(group, &rows, |row| Some(row.seed as i64))?;
        texts(group, &rows, |row| Some(&row.overrides))?;
        texts(group, &rows, |row| Some(&row.metric))?;
        texts(group, &rows, |row| row.of.as_deref())?;
        texts(group, &rows, |row| row.phase.as_deref())?;
        numbers::<DoubleType, _>(group, &rows, |row| row.value)?;
        texts(group, &rows, |row| Some(row.unit))?;
        numbers::<BoolType, _>(group, &rows, |row| Some(row.at_least))
    })
}

/// All series of all runs: `scenario`, `seed`, `overrides`, `time_s`, `kind`, `name`, `series`, `value`. A row group per run.
///
/// # Errors
/// What the library says.
pub fn series(records: &[RunRecord]) -> Result<Vec<u8>, ParquetError> {
    write(SERIES, records, |record, group| {
        let rows = series_rows(record);
        texts(group, &rows, |row: &SeriesRow| Some(&row.scenario))?;
        numbers::<Int64Type, _>(group, &rows, |row| Some(row.seed as i64))?;
        texts(group, &rows, |row| Some(&row.overrides))?;
        numbers::<DoubleType, _>(group, &rows, |row| Some(row.time_s))?;
        texts(group, &rows, |row| Some(row.kind))?;
        texts(group, &rows, |row| Some(&row.name))?;
        texts(group, &rows, |row| Some(&row.series))?;
        numbers::<DoubleType, _>(group, &rows, |row| Some(row.value))
    })
}

type RowGroup<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// A file of a schema, its columns written by `fill` in order, once for each record.
fn write(
    schema: &str,
    records: &[RunRecord],
    fill: impl Fn(&RunRecord, &mut RowGroup<'_>) -> Result<(), ParquetError>,
) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("queuelab".into())
        .build();
    let schema = Arc::new(parse_message_type(schema)?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    for record in records {
        let mut group = file.next_row_group()?;
        fill(record, &mut group)?;
        group.close()?;
    }
    file.into_inner()
}

fn texts<Row>(
    group: &mut RowGroup<'_>,
    rows: &[Row],
    of: impl Fn(&Row) -> Option<&str>,
) -> Result<(), ParquetError> {
    column::<ByteArrayType>(group, rows.iter().map(|row| of(row).map(ByteArray::from)))
}

fn numbers<T: DataType, Row>(
    group: &mut RowGroup<'_>,
    rows: &[Row],
    of: impl Fn(&Row) -> Option<T::T>,
) -> Result<(), ParquetError> {
    column::<T>(group, rows.iter().map(of))
}

/// The next column: what is there, and for each row whether it is.
fn column<T: DataType>(
    group: &mut RowGroup<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns".into()));
    };
    writer
        .typed::<T>()
        .write_batch(&present, Some(&levels), None)?;
    writer.close()
}

const METRICS: &str = "message metrics {
    required binary scenario (UTF8);
    required int64 seed (INTEGER(64,false));
    required binary overrides (UTF8);
    required binary metric (UTF8);
    optional binary of (UTF8);
    optional binary phase (UTF8);
    optional double value;
    required binary unit (UTF8);
    required boolean at_least;
}";

const SERIES: &str = "message series {
    required binary scenario (UTF8);
    required int64 seed (INTEGER(64,false));
    required binary overrides (UTF8);
    required double time_s;
    required binary kind (UTF8);
    required binary name (UTF8);
    required binary series (UTF8);
    required double value;
}";
