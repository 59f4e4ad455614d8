//! Identity numbers against published specimens: valid ones, each fault, the old form, folding.

use clinical::identity_number::{CountyTable, Fault, Rules, Sex, Warning, parse};
use jiff::civil::{Date, date};
use proptest::prelude::*;

const TODAY: Date = date(2024, 6, 30);
const STRICT: Rules<'static> = Rules {
    legacy: false,
    residence_permits: false,
    counties: None,
};
const IMPORT: Rules<'static> = Rules {
    legacy: true,
    ..STRICT
};

#[test]
fn the_standards_own_examples_are_read() {
    let (number, warnings) = parse("11010519491231002X", TODAY, STRICT).unwrap();
    assert_eq!(
        (number.birth_date(), number.sex()),
        (date(1949, 12, 31), Sex::Female)
    );
    assert_eq!((number.as_str(), warnings), ("11010519491231002X", vec![]));
    let (number, _) = parse("440524188001010014", TODAY, STRICT).unwrap();
    assert_eq!(
        (number.birth_date(), number.sex()),
        (date(1880, 1, 1), Sex::Male)
    );
}

#[test]
fn published_valid_numbers_are_valid() {
    for valid in [
        "350303199002033073",
        "331122197905116239",
        "513330199111066159",
        "33050219880702447X",
        "33050219880702447x",
        "34052419800101001X",
        "360426199101010071",
        "44011320141005001X",
        "412723199010050012",
        "110102199101010078",
        "110111198012010078",
        "110201199312010077",
    ] {
        assert!(parse(valid, TODAY, STRICT).is_ok(), "{valid}");
    }
}

#[test]
fn published_faulty_numbers_have_exactly_their_faults() {
    let cases: [(&str, &[Fault]); 10] = [
        ("340524198001010013", &[Fault::Checksum]),
        ("110105194912310021", &[Fault::Checksum]),
        ("330502198807024471", &[Fault::Checksum]),
        ("36042619910102009X", &[Fault::Checksum]),
        ("360426199113010079", &[Fault::Date]),
        ("990426199112010074", &[Fault::Region]),
        ("111111111111111111", &[Fault::Date, Fault::Checksum]),
        ("33050288070244", &[Fault::Format]),
        ("3305028807024411", &[Fault::Format]),
        ("T60426199101010078", &[Fault::Format]),
    ];
    for (number, faults) in cases {
        assert_eq!(
            parse(number, TODAY, IMPORT).unwrap_err(),
            faults,
            "{number}"
        );
    }
}

#[test]
fn old_cards_are_converted_in_an_import_only() {
    for (old, new) in [
        ("350303900203307", "350303199002033073"),
        ("330502880702447", "33050219880702447X"),
        ("110105491231002", "11010519491231002X"),
    ] {
        let (number, warnings) = parse(old, TODAY, IMPORT).unwrap();
        assert_eq!((number.as_str(), warnings), (new, vec![Warning::Legacy]));
        assert_eq!(parse(old, TODAY, STRICT).unwrap_err(), [Fault::Legacy]);
    }
    assert_eq!(
        parse("110105491331002", TODAY, IMPORT).unwrap_err(),
        [Fault::Date]
    );
}

#[test]
fn order_codes_from_996_of_old_cards_mean_the_century_before() {
    let (number, _) = parse("110105951231997", TODAY, IMPORT).unwrap();
    assert_eq!(number.birth_date(), date(1895, 12, 31));
    let (number, _) = parse("110105951231995", TODAY, IMPORT).unwrap();
    assert_eq!(number.birth_date(), date(1995, 12, 31));
}

#[test]
fn a_county_unknown_in_the_year_of_birth_is_a_warning() {
    let counties = CountyTable::parse("110111,1986,\n110105,1958,\n110201,1960,1979\n").unwrap();
    let rules = Rules {
        counties: Some(&counties),
        ..STRICT
    };
    let warnings = |number| parse(number, TODAY, rules).unwrap().1;
    assert_eq!(warnings("110111198012010078"), [Warning::County]);
    assert_eq!(warnings("110201199312010077"), [Warning::County]);
    assert_eq!(warnings("33050219880702447X"), [Warning::County]);
    assert_eq!(CountyTable::parse("\n11011,1986,").unwrap_err().line, 2);
}

#[test]
fn what_people_type_is_folded() {
    for typed in [
        "  11010519491231002x\n",
        "１１０１０５１９４９１２３１００２Ｘ",
        "　11010519491231002ｘ",
    ] {
        assert_eq!(
            parse(typed, TODAY, STRICT).unwrap().0.as_str(),
            "11010519491231002X"
        );
    }
    for typed in [
        "110105 194912 31002X",
        "11010519491231002Y",
        "",
        "11010519491231002X1",
        "١١٠١٠٥١٩٤٩١٢٣١٠٠٢٧",
        "1101051949123100X2",
    ] {
        assert_eq!(
            parse(typed, TODAY, STRICT).unwrap_err(),
            [Fault::Format],
            "{typed}"
        );
    }
}

#[test]
fn nobody_is_born_tomorrow_or_before_1850() {
    assert!(parse("44011320141005001X", date(2014, 10, 5), STRICT).is_ok());
    assert_eq!(
        parse("44011320141005001X", date(2014, 10, 4), STRICT).unwrap_err(),
        [Fault::Date]
    );
    assert!(
        parse("110105184912310020", TODAY, STRICT)
            .unwrap_err()
            .contains(&Fault::Date)
    );
}

#[test]
fn residence_permits_are_taken_by_option() {
    let permits = Rules {
        residence_permits: true,
        ..STRICT
    };
    // Generated in the unassigned county 830000.
    let number =
        (0..=10).map(|check| format!("83000019900101001{}", &"0123456789X"[check..=check]));
    let valid: Vec<String> = number
        .filter(|number| parse(number, TODAY, permits).is_ok())
        .collect();
    assert_eq!(valid.len(), 1);
    assert_eq!(
        parse(&valid[0], TODAY, STRICT).unwrap_err(),
        [Fault::Region]
    );
    assert!(parse("990426199112010074", TODAY, permits).is_err());
}

#[test]
fn r_34_a_number_does_not_print_itself_and_faults_name_no_digit_of_it() {
    let (number, _) = parse("11010519491231002X", TODAY, STRICT).unwrap();
    assert_eq!(format!("{number:?}"), "IdentityNumber(..)");
    let faults = parse("990426199113010071", TODAY, STRICT).unwrap_err();
    let text = format!(
        "{faults:?} {}",
        faults.iter().map(ToString::to_string).collect::<String>()
    );
    assert!(!text.contains("990426") && !text.contains("1991130"));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        let _ = parse(&text, TODAY, IMPORT);
    }

    #[test]
    fn changing_one_digit_is_always_found(digits in "[0-9]{17}", at in 0_usize..17, by in 1_u8..10) {
        // MOD 11-2 finds every single wrong digit: at most one of the two numbers has the right check character.
        let change = |digits: &str| -> String {
            digits.bytes().enumerate().map(|(position, digit)| {
                char::from(if position == at { (digit - b'0' + by) % 10 + b'0' } else { digit })
            }).collect()
        };
        let wrong = change(&digits);
        for check in "0123456789X".chars() {
            let right = |digits: &str| {
                !matches!(parse(&format!("{digits}{check}"), TODAY, STRICT), Err(faults) if faults.contains(&Fault::Checksum))
            };
            prop_assert!(!(right(&digits) && right(&wrong)));
        }
    }
}
