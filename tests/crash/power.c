/*
 * The power goes at any moment. What logins, marks and settlements wrote through the real committer, outbox and schema
 * is recorded (power_vfs.h), and of hundreds of cuts the disk that each leaves is opened again by the real store:
 * everything that was acknowledged before the cut must be there, whole, and nothing half. A disk whose syncs are left
 * out must fail the same test.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "background/store/store.h"
#include "tests/support/harness.h"
#include "tests/support/long_form.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/power_tape.h"
#include "tests/support/power_verdict.h"
#include "tests/support/power_vfs.h"
#include "tests/support/version_1.h"

enum {
	IMAGES = 40, /* of one recording */
	SHORT_IMAGES = 300,
	LONG_IMAGES = 10000,
	SHORT_MIGRATION_IMAGES = 50,
	LONG_MIGRATION_IMAGES = 1000,
	SHORT_FAILING_IMAGES = 100,
	LONG_FAILING_IMAGES = 3000,
	CONTROL_IMAGES = 100,
	FAILURES_SHOWN = 5,
};

static void setup(void)
{
	if (access("/dev/shm", W_OK) == 0) /* syncs are noted, so it need not be a disk */
		setenv("TMPDIR", "/dev/shm", 1);
	power_vfs_install();
}

TestSuite(power, .init = setup, .timeout = 1500);

static struct power_verdict judge(const struct power_work *work, const struct power_cut *cut, size_t *ret_acknowledged)
{
	struct power_verdict v = {.text = ""};
	struct store *store = NULL;
	struct scratch scratch;

	scratch_make(&scratch);
	power_tape_image(cut, scratch.folder);
	if (store_open(scratch.url, &store, v.text) != 0) {
		v.corrupt = true;
	} else {
		struct db *db = store_writer(store);

		power_check_sound(db, &v);
		power_check_promises(db, work, cut->after, &v, ret_acknowledged);
		power_check_counters(db, &v);
		power_check_use(db, &v);
		store_close(store);
	}
	scratch_remove(&scratch);
	return v;
}

struct tally {
	size_t images, acknowledged, refused, lost, half, corrupt, operations, syncs;
};

static struct tally sweep(const char *name, const char *pragmas, int failing, size_t images)
{
	unsigned seed = (unsigned)harness_mono_us();
	struct tally tally = {0};

	fprintf(stderr, "seed %u\n", seed);
	while (tally.images < images) {
		struct power_work *work = power_work_record(pragmas, failing);

		tally.operations += power_tape_now();
		tally.syncs += power_tape_syncs();
		for (size_t i = 0; i < POWER_WORK_LOGINS; i++)
			tally.refused += work->logins[i].added == SIZE_MAX;
		for (size_t i = 0; i < IMAGES && tally.images < images; i++, tally.images++) {
			struct power_cut cut = power_tape_cut(&seed);
			struct power_verdict v = judge(work, &cut, &tally.acknowledged);

			tally.lost += v.lost;
			tally.half += v.half;
			tally.corrupt += v.corrupt;
			if (power_verdict_said(&v) && tally.lost + tally.half + tally.corrupt <= FAILURES_SHOWN)
				fprintf(stderr, "%s: cut after %zu of %zu, %d %% kept, seed %u: %s\n", name, cut.after,
					power_tape_now(), cut.kept, cut.seed, v.text);
		}
		free(work);
	}
	long_form_print(
		"power loss, %s: %zu images of %zu operations with %zu syncs, %zu promises checked: %zu lost, %zu half "
		"done, %zu corrupt",
		name, tally.images, tally.operations, tally.syncs, tally.acknowledged, tally.lost, tally.half,
		tally.corrupt);
	return tally;
}

Test(power, nothing_acknowledged_is_lost_and_nothing_is_half_done)
{
	struct tally tally = sweep("as it is", "", 0, long_form() ? LONG_IMAGES : SHORT_IMAGES);

	cr_assert_eq(tally.lost, 0);
	cr_assert_eq(tally.half, 0);
	cr_assert_eq(tally.corrupt, 0);
	cr_assert_gt(tally.acknowledged, tally.images * 10, "the cuts come before the work");
}

/* What a failed sync had covered is refused, or written again by the next one; a failed checkpoint is repeated. */
Test(power, a_disk_whose_syncs_fail_and_forget_loses_nothing_acknowledged)
{
	struct tally tally =
		sweep("one sync in eight fails", "", 12, long_form() ? LONG_FAILING_IMAGES : SHORT_FAILING_IMAGES);

	cr_assert_eq(tally.lost, 0);
	cr_assert_eq(tally.half, 0);
	cr_assert_eq(tally.corrupt, 0);
	cr_assert_gt(tally.refused, 0, "no sync has failed");
	long_form_print("power loss, one sync in eight fails: %zu logins refused", tally.refused);
}

Test(power, without_syncs_the_same_test_fails)
{
	struct tally tally = sweep("control, synchronous=OFF", "PRAGMA synchronous=OFF", 0, CONTROL_IMAGES);

	cr_assert_gt(tally.lost, 0, "a test that can't fail");
	long_form_print("power loss, control: it fails without syncs, as it must");
}

/* Sound, and yet not durable: the difference that the test must see. */
Test(power, with_syncs_at_checkpoints_alone_it_fails_too)
{
	struct tally tally = sweep("control, synchronous=NORMAL", "PRAGMA synchronous=NORMAL", 0, CONTROL_IMAGES);

	cr_assert_gt(tally.lost, 0, "a test that can't fail");
	cr_assert_eq(tally.corrupt, 0);
}

/* What version 1 had promised is there in version 2, wherever the way to it is cut. */
static struct power_verdict judge_migration(const struct power_cut *cut)
{
	static const char events[] = "SELECT count(*) FROM events";
	static const char effects[] = "SELECT count(*) FROM effects";
	static const char version[] = "SELECT version FROM schema_version";
	struct power_verdict v = {.text = ""};
	struct store *store = NULL;
	struct scratch scratch;

	scratch_make(&scratch);
	power_tape_image(cut, scratch.folder);
	if (store_open(scratch.url, &store, v.text) != 0) {
		v.corrupt = true;
	} else {
		struct db *db = store_writer(store);

		power_check_sound(db, &v);
		power_check_counters(db, &v);
		if (!power_verdict_said(&v) && (outbox_rows_number(db, events) != VERSION_1_EVENTS ||
						       outbox_rows_number(db, effects) != 3 * VERSION_1_EVENTS ||
						       outbox_rows_number(db, version) < 2)) {
			v.lost = true;
			snprintf(v.text, sizeof(v.text), "rows are missing");
		}
		power_check_use(db, &v);
		store_close(store);
	}
	scratch_remove(&scratch);
	return v;
}

Test(power, a_migration_that_is_cut_short_loses_nothing)
{
	unsigned seed = (unsigned)harness_mono_us();
	size_t images = long_form() ? LONG_MIGRATION_IMAGES : SHORT_MIGRATION_IMAGES;
	struct store *store = NULL;
	struct scratch scratch;
	char why[256] = "";

	scratch_make(&scratch);
	power_tape_record();
	version_1_make(scratch.url);
	size_t made = power_tape_now();
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	store_close(store);
	power_tape_stop();
	scratch_remove(&scratch);
	fprintf(stderr, "seed %u\n", seed);
	for (size_t i = 0; i < images; i++) {
		struct power_cut cut;

		do {
			cut = power_tape_cut(&seed);
		} while (cut.after < made);
		struct power_verdict v = judge_migration(&cut);
		cr_assert_not(power_verdict_said(&v), "cut after %zu of %zu, %d %% kept, seed %u: %s", cut.after,
			power_tape_now(), cut.kept, cut.seed, v.text);
	}
	long_form_print("power loss in a migration: %zu images of %zu operations, nothing lost, half done or corrupt",
		images, power_tape_now() - made);
}
