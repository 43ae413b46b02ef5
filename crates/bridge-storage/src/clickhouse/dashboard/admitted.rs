//! The rows that a dashboard sums up.

use crate::clickhouse::usage::read::conditions;
use crate::clickhouse::usage::rows::COUNTED;
use crate::dashboard::{DashboardFilter, ReceiptScope};

/// Where the filter applies: in the `WHERE`, or as a flag on each row if the receipt needs the other responses too.
pub(super) struct Admitted {
    /// The condition of an admitted row.
    pub(super) flag: String,
    /// The condition of the rows that are read.
    pub(super) condition: String,
}

impl Admitted {
    pub(super) fn new(filter: &DashboardFilter) -> Self {
        let conditions = conditions(&filter.responses).join(" AND ");
        match filter.receipt {
            _ if conditions.is_empty() => Self { flag: "true".to_owned(), condition: COUNTED.to_owned() },
            ReceiptScope::Store => Self { flag: format!("({conditions})"), condition: COUNTED.to_owned() },
            ReceiptScope::Omitted => {
                Self { flag: "true".to_owned(), condition: format!("{COUNTED} AND {conditions}") }
            }
        }
    }

    /// Returns whether the pass reads rows that are not admitted.
    pub(super) fn is_flagged(&self) -> bool {
        self.flag != "true"
    }

    /// Returns a value of admitted rows, and another one of the others.
    pub(super) fn value(&self, value: &str, otherwise: &str) -> String {
        if self.is_flagged() { format!("if(is_admitted, {value}, {otherwise})") } else { value.to_owned() }
    }
}
