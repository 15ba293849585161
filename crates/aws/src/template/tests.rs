use super::*;
use crate::samples::*;

#[test]
fn the_default_place_is_the_text_that_was_read_by_a_person() {
    std::fs::write("/tmp/tpl-default.yaml", template(&default_place()).unwrap().text).unwrap();
    std::fs::write("/tmp/tpl-whole.yaml", whole(&default_place(), &default_service(), "X86_64").unwrap()).unwrap();
}
