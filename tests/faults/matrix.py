"""Where each fault of the matrix is done: by a scenario here, which breaks a whole hub, or by a test of the part it is for.

What does not hold, or holds emptily, stands beside it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """`scenarios` by name; `tests` as file::test; `remark` for what a reader must not take for more than it is."""

    scenarios: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    remark: str = ""


def _by(*scenarios: str, also: tuple[str, ...] = (), remark: str = "") -> Place:
    return Place(scenarios, also, remark)


def _at(*tests: str, remark: str = "") -> Place:
    return Place((), tests, remark)


_KILL_POINTS = "tests/faults/test_kills.py::test_one_cdr_in_effect_after_a_kill"
_LISTENER = "tests/ocpi_modules/http/test_listener.py::"
_SERVER = "tests/ocpi_modules/http/test_server.py::"
_CLIENT = "tests/ocpi_modules/http/test_client.py::"
_JSON = "tests/ocpi_modules/test_json.py::"

MATRIX: dict[str, Place] = {
    "F-01": _by("kills", also=(_KILL_POINTS,)),
    "F-02": _by("kills"),
    "F-03": _by("kills", also=(_KILL_POINTS,)),
    "F-04": _by("stops", remark="12 s instead of 60: longer than a lease, which is what matters"),
    "F-05": _by("terminations"),
    "F-06": _by("out of memory", remark="a limit of address space, then SIGKILL as the kernel's own killer sends it"),
    "F-07": _by("database crashes", "database fails over"),
    "F-08": _by(
        "database freezes", remark="9 s instead of 30: longer than every deadline of the hub towards PostgreSQL"
    ),
    "F-09": _by("connections killed"),
    "F-10": _by("commits unknown"),
    "F-11": _at(
        "tests/hub/objects/test_batches.py::test_eight_writers_over_two_processes_leave_exact_counters_pages_and_versions"
    ),
    "F-12": _by(
        "disk full",
        remark="needs root for a small file system; skipped, and said so, without. Nothing is refused before PostgreSQL "
        "refuses it: a hub cannot see that host's disk (Q-15's watermark)",
    ),
    "F-13": _by(
        "log full", also=("tests/hub/test_telemetry.py::test_a_line_that_cannot_be_written_is_dropped_and_counted",)
    ),
    "F-14": _by(
        "redis breaks",
        also=("tests/hub/delivery/test_wakeups.py::test_a_redis_that_was_killed_flushed_or_frozen_is_made_up_with",),
    ),
    "F-15": _by("network faults"),
    "F-16": _by("network faults", also=(f"{_CLIENT}test_a_blackhole_is_given_up_after_the_connect_timeout",)),
    "F-17": _by("network faults"),
    "F-18": _by("network faults"),
    "F-19": _by("network faults", also=(f"{_CLIENT}test_the_deadline_is_a_total_and_not_renewed_by_every_byte",)),
    "F-20": _at("tests/hub/delivery/test_worker.py::test_a_slow_receiver_holds_up_no_other"),
    "F-21": _by("bad answers", also=(f"{_CLIENT}test_a_hundred_megabytes_are_cut_at_ten",)),
    "F-22": _by("bad answers"),
    "F-23": _by("bad answers"),
    "F-24": _by("flapping"),
    "F-25": _by("many return"),
    "F-26": _by(
        "names",
        also=(
            "tests/ocpi_modules/http/test_addresses.py::test_a_name_that_leads_to_a_private_address_is_refused_whole",
        ),
    ),
    "F-27": _by(
        "certificates", remark="without a pin revoked by an admin and client certificates: the hub has neither"
    ),
    "F-28": _at(f"{_LISTENER}test_a_slow_header_is_cut_with_408"),
    "F-29": _at(f"{_LISTENER}test_a_slow_body_is_cut_with_408"),
    "F-30": _at(f"{_LISTENER}test_there_is_a_cap_on_connections_of_one_address"),
    "F-31": _by("out of memory", also=(f"{_SERVER}test_a_chunked_body_is_cut_at_the_limit_and_whole_below_it",)),
    "F-32": _at(
        f"{_SERVER}test_a_body_over_its_limit_is_413_and_locations_have_a_limit_of_their_own",
        remark="the matrix measures what happens without a limit; there is no way to lift it",
    ),
    "F-33": _at(f"{_JSON}test_what_is_nested_deeper_than_64_levels_is_refused"),
    "F-34": _at(f"{_JSON}test_what_is_not_one_plain_document_is_refused"),
    "F-35": _at(f"{_JSON}test_an_escaped_nul_is_refused_before_postgresql_has_to"),
    "F-36": _at(f"{_JSON}test_a_number_nobody_can_mean_is_refused", f"{_JSON}test_a_number_keeps_every_digit"),
    "F-37": _at(f"{_JSON}test_what_is_not_one_plain_document_is_refused"),
    "F-38": _at("tests/ocpi_modules/test_objects.py::test_a_cistring_is_printable_ascii"),
    "F-39": _at(f"{_SERVER}test_other_bodies_are_415"),
    "F-40": _at(
        f"{_SERVER}test_a_message_id_of_other_characters_is_400_and_not_echoed",
        f"{_SERVER}test_a_response_header_that_would_break_the_answer_is_not_sent",
        f"{_SERVER}test_a_header_that_names_who_or_where_must_not_stand_twice",
    ),
    "F-41": _at(f"{_LISTENER}test_ambiguous_or_oversized_requests_are_refused_and_nothing_after_them_is_served"),
    "F-42": _at(
        f"{_SERVER}test_a_path_that_is_not_offered_is_404_in_an_envelope", f"{_SERVER}test_a_path_over_2_kb_is_414"
    ),
    "F-43": _at("tests/ocpi_modules/test_paging.py::test_what_makes_no_sense_is_refused_by_name"),
    "F-44": _at("tests/hub/parties/test_directory.py::test_no_token_or_an_unknown_one_is_401"),
    "F-45": _at("tests/hub/registration/test_receiver.py::test_token_a_opens_versions_and_credentials_only"),
    "F-46": _at("tests/cpo_adapter/csms/test_socket.py::test_a_charger_that_floods_pings_and_never_reads_is_given_up"),
    "F-47": _at(
        "tests/cpo_adapter/simulator/test_charger.py::test_the_ledger_equals_the_facts_whatever_goes_wrong",
        "tests/cpo_adapter/simulator/test_charger.py::test_what_happens_offline_is_told_later_in_order_with_its_own_times",
    ),
    "F-48": _by(
        "clock jumps", also=("tests/ocpi_modules/test_types.py::test_every_allowed_spelling_of_a_time_is_read_as_utc",)
    ),
    "F-49": _at("tests/hub/test_watchdog.py::test_a_blocked_loop_is_logged_with_its_stack_and_told_by_readiness"),
    "F-50": _at("tests/hub/test_upgrade.py::test_the_program_before_the_newest_tables_works_beside_this_one"),
    "F-51": _at(
        "tests/hub/test_failover.py::test_what_is_pushed_after_a_failover_reaches_everybody_whichever_process_took_it",
        "tests/hub/delivery/test_operators.py::test_after_a_restore_into_a_new_cluster_everything_is_walked_and_old_rows_stay_harmless",
        "tests/hub/retention/test_job.py::test_dropped_rows_of_a_backups_own_cluster_set_no_floor_that_nobody_here_reaches",
    ),
    "F-52": _at("tests/hub/registration/test_kills.py::test_a_put_that_dies_anywhere_leaves_the_old_token_alive"),
}
