//! Files are read back as they were written.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Row, RowAccessor};
use queuelab_parquet::{metrics, series};
use queuelab_record::{RunRecord, fixture, metric_rows, series_rows};

fn records() -> Vec<RunRecord> {
    let mut other = fixture::flash_sale();
    other.seed = u64::MAX;
    other.scenario.overrides = vec!["consumer.fulfilment.count=80".into()];
    vec![fixture::flash_sale(), other, fixture::empty()]
}

fn rows(file: Vec<u8>) -> Vec<Row> {
    let reader = SerializedFileReader::new(parquet_bytes(file)).unwrap();
    reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn parquet_bytes(file: Vec<u8>) -> bytes::Bytes {
    bytes::Bytes::from(file)
}

#[test]
fn metrics_are_read_back() {
    let records = records();
    let file = metrics(&records).unwrap();
    assert_eq!(&file[..4], b"PAR1");
    let rows = rows(file);
    let expected: Vec<_> = records.iter().flat_map(metric_rows).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row.get_string(0).unwrap(), &expected.scenario);
        assert_eq!(row.get_ulong(1).unwrap(), expected.seed);
        assert_eq!(row.get_string(2).unwrap(), &expected.overrides);
        assert_eq!(row.get_string(3).unwrap(), &expected.metric);
        assert_eq!(row.get_string(4).ok(), expected.of.as_ref());
        assert_eq!(row.get_string(5).ok(), expected.phase.as_ref());
        assert_eq!(row.get_double(6).ok(), expected.value);
        assert_eq!(row.get_string(7).unwrap(), expected.unit);
        assert_eq!(row.get_bool(8).unwrap(), expected.at_least);
    }
}

#[test]
fn series_are_read_back() {
    let records = records();
    let rows = rows(series(&records).unwrap());
    let expected: Vec<_> = records.iter().flat_map(series_rows).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row.get_ulong(1).unwrap(), expected.seed);
        assert_eq!(row.get_double(3).unwrap(), expected.time_s);
        assert_eq!(row.get_string(4).unwrap(), expected.kind);
        assert_eq!(row.get_string(5).unwrap(), &expected.name);
        assert_eq!(row.get_string(6).unwrap(), &expected.series);
        assert_eq!(row.get_double(7).unwrap(), expected.value);
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let records = records();
    assert!(metrics(&records).unwrap() == metrics(&records).unwrap());
    assert!(series(&records).unwrap() == series(&records).unwrap());
}
