//! The subject's statuses and moves, all combinations of them.

use clinical::subject::{Assignment, Move, MoveError, Status, check_move, may_answer};
use jiff::civil::{Date, date};

const TODAY: Date = date(2024, 6, 30);

fn complete(to: Status) -> Move<'static> {
    Move {
        to,
        reason: Some("consent withdrawn"),
        date: Some(date(2024, 6, 1)),
    }
}

/// Row: from; column: to; `x` where the move is legal.
const MOVES: [&str; 7] = [
    ".x.x...", "..x.xxx", ".......", ".......", ".......", ".......", ".......",
];

#[test]
fn r_17_only_the_moves_of_the_table_are_legal() {
    for from in Status::ALL {
        for to in Status::ALL {
            let legal = MOVES[usize::from(from.code())].as_bytes()[usize::from(to.code())] == b'x';
            let result = check_move(from, None, complete(to), TODAY);
            if legal {
                assert_eq!(result, Ok(()), "{from} to {to}");
            } else {
                assert_eq!(
                    result,
                    Err(vec![MoveError::Illegal { from, to }]),
                    "{from} to {to}"
                );
            }
        }
    }
}

#[test]
fn r_17_a_legal_move_without_reason_or_date_is_refused() {
    for from in Status::ALL {
        for to in from.successors().iter().copied() {
            let bare = Move {
                to,
                reason: Some("  "),
                date: None,
            };
            let errors = check_move(from, None, bare, TODAY).unwrap_err();
            let needs_reason = to != Status::Enrolled;
            assert_eq!(
                errors.contains(&MoveError::ReasonMissing),
                needs_reason,
                "{from} to {to}"
            );
            assert!(errors.contains(&MoveError::DateMissing), "{from} to {to}");
            assert!(errors.iter().all(|error| !error.is_conflict()));
        }
    }
}

#[test]
fn r_17_a_move_is_dated_between_the_present_status_and_today() {
    let at = |date| Move {
        date: Some(date),
        ..complete(Status::Withdrawn)
    };
    let since = Some(date(2024, 3, 1));
    let check = |day| check_move(Status::Enrolled, since, at(day), TODAY);
    assert_eq!(
        check(date(2024, 2, 29)),
        Err(vec![MoveError::DateBeforePresent])
    );
    assert_eq!(check(date(2024, 3, 1)), Ok(()));
    assert_eq!(check(TODAY), Ok(()));
    assert_eq!(check(date(2024, 7, 1)), Err(vec![MoveError::DateInFuture]));
}

#[test]
fn an_illegal_move_says_what_is_possible() {
    let error =
        check_move(Status::Screening, None, complete(Status::Withdrawn), TODAY).unwrap_err()[0];
    assert!(error.is_conflict());
    assert_eq!(
        error.to_string(),
        "subject cannot move from status 0 (screening) to 2 (withdrawn): expected one of 1 (enrolled), 3 (screen failed)"
    );
}

#[test]
fn who_may_answer_what() {
    let expected = [
        (false, true),
        (true, true),
        (true, true),
        (false, false),
        (true, true),
        (false, false),
        (false, false),
    ];
    for (status, (study, screening)) in Status::ALL.into_iter().zip(expected) {
        assert_eq!(may_answer(status, Assignment::Study), study, "{status}");
        assert_eq!(
            may_answer(status, Assignment::Screening),
            screening,
            "{status}"
        );
    }
}

#[test]
fn codes_are_those_of_the_wire_and_nothing_else_is_a_status() {
    for (code, status) in (0..).zip(Status::ALL) {
        assert_eq!(i64::from(status.code()), code);
        assert_eq!(Status::from_code(code), Some(status));
        assert_eq!(serde_json::to_string(&status).unwrap(), code.to_string());
        assert_eq!(
            serde_json::from_str::<Status>(&code.to_string()).unwrap(),
            status
        );
    }
    for code in [-1, 7, i64::MAX, i64::MIN] {
        assert_eq!(Status::from_code(code), None);
    }
    assert!(
        serde_json::from_str::<Status>("7")
            .unwrap_err()
            .to_string()
            .contains("from 0 to 6")
    );
    assert_eq!(Status::ALL.map(Status::legacy_code), [0, 1, 2, 2, 2, 2, 2]);
}
