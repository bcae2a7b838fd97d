//! The command line of sysbench 1.0, compared with sysbench 1.0.20.

use crate::common::assert_campaign_finds_nothing;

#[test]
fn generated_command_lines_do_the_same_as_sysbench_1_0_20() {
    assert_campaign_finds_nothing("differential.py", &[]);
}
