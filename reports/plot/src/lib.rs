//! reports/plot
