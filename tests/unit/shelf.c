/* Files on the shelf, and what becomes of those that change. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "background/effects/shelf.h"
#include "config/clock.h"
#include "tests/support/scratch.h"

static struct scratch scratch;
static struct shelf shelf;
static int64_t now_ms;
static const char *text;

static const char *path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", scratch.folder, name);
	return path;
}

static void write_file(const char *name, const char *content)
{
	FILE *file = fopen(path_of(name), "w");

	cr_assert_not_null(file);
	fputs(content, file);
	cr_assert_eq(fclose(file), 0);
}

static void setup(void)
{
	clock_start();
	scratch_make(&scratch);
	shelf_init(&shelf);
	now_ms = clock_now_ms();
	text = NULL;
}

static void teardown(void)
{
	shelf_release(&shelf);
	scratch_remove(&scratch);
}

TestSuite(shelf, .init = setup, .fini = teardown, .timeout = 30);

static int get(const char *event_type, const char *suffix)
{
	return shelf_get(&shelf, scratch.folder, event_type, suffix, now_ms, &text);
}

static const char *got(const char *event_type)
{
	cr_assert_eq(get(event_type, ".txt"), 0);
	return text;
}

/* Kept files are not asked for: they may even be gone. */
Test(shelf, a_file_is_read_once_until_it_is_time_to_look)
{
	write_file("a.txt", "one");
	now_ms += 2 * LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "one");
	cr_assert_eq(unlink(path_of("a.txt")), 0);
	now_ms += LIMIT_SHELF_MS - 1;
	cr_assert_str_eq(got("a"), "one");
	now_ms++;
	cr_assert_eq(get("a", ".txt"), ERR_NOT_FOUND);
}

/* Marks what is kept, so that it is seen whether it is read anew. */
static void mark(void)
{
	*(char *)(uintptr_t)text = 'X';
}

Test(shelf, a_file_that_is_as_it_was_is_not_read_again)
{
	write_file("a.txt", "one");
	now_ms += 2 * LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "one");
	mark();
	for (int i = 0; i < 5; i++) {
		now_ms += LIMIT_SHELF_MS;
		cr_assert_str_eq(got("a"), "Xne");
	}
}

/* Where the kernel's clock has steps of milliseconds, it may have changed since, and show the same time. */
Test(shelf, a_file_that_had_just_changed_is_read_once_more)
{
	write_file("a.txt", "one");
	now_ms = clock_wall_ms();
	cr_assert_str_eq(got("a"), "one");
	for (int i = 0; i < 3; i++) {
		mark();
		now_ms += LIMIT_SHELF_MS;
		cr_assert_str_eq(got("a"), i == 0 ? "one" : "Xne", "look %d", i);
	}
}

/* As by cp, which empties a file before it writes it. */
Test(shelf, a_file_that_is_being_written_is_read_each_time)
{
	write_file("a.txt", "");
	now_ms = clock_wall_ms();
	cr_assert_str_eq(got("a"), "");
	write_file("a.txt", "Subj");
	cr_assert_str_eq(got("a"), "Subj");
	write_file("a.txt", "Subject");
	cr_assert_str_eq(got("a"), "Subject");
}

/* As by git, which removes a file before it writes the new one. */
Test(shelf, a_file_that_has_just_gone_is_looked_for_once_more)
{
	write_file("a.html", "one");
	now_ms += 2 * LIMIT_SHELF_MS;
	cr_assert_eq(get("a", ".html"), 0);
	cr_assert_eq(unlink(path_of("a.html")), 0);
	now_ms += LIMIT_SHELF_MS;
	cr_assert_eq(get("a", ".html"), ERR_NOT_FOUND);
	write_file("a.html", "another");
	cr_assert_eq(get("a", ".html"), 0);
	cr_assert_str_eq(text, "another");
}

Test(shelf, what_is_forgotten_is_read_anew)
{
	cr_assert_eq(get("a", ".txt"), ERR_NOT_FOUND);
	write_file("a.txt", "one");
	cr_assert_eq(get("a", ".txt"), ERR_NOT_FOUND);
	shelf_forget(&shelf, "a", ".txt");
	cr_assert_str_eq(got("a"), "one");
	now_ms += 2 * LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "one");
	mark();
	shelf_forget(&shelf, "a", ".html");
	cr_assert_str_eq(got("a"), "Xne");
}

Test(shelf, a_corrected_file_is_read_when_it_is_looked_at)
{
	char to[512];

	write_file("a.txt", "one");
	now_ms += 2 * LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "one");
	write_file("a.txt", "another");
	cr_assert_str_eq(got("a"), "one");
	now_ms += LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "another");
	write_file("new.txt", "renamed");
	snprintf(to, sizeof to, "%s", path_of("a.txt"));
	cr_assert_eq(rename(path_of("new.txt"), to), 0);
	now_ms += LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "renamed");
}

Test(shelf, a_clock_that_is_set_back_hides_no_change)
{
	write_file("a.txt", "one");
	now_ms += 2 * LIMIT_SHELF_MS;
	cr_assert_str_eq(got("a"), "one");
	write_file("a.txt", "another");
	now_ms -= 3600 * 1000;
	cr_assert_str_eq(got("a"), "another");
}

Test(shelf, that_there_is_no_file_is_kept_too)
{
	cr_assert_eq(get("a", ".html"), ERR_NOT_FOUND);
	write_file("a.html", "<p>");
	cr_assert_eq(get("a", ".html"), ERR_NOT_FOUND);
	now_ms += LIMIT_SHELF_MS;
	cr_assert_eq(get("a", ".html"), 0);
	cr_assert_str_eq(text, "<p>");
}

Test(shelf, what_can_not_be_used_is_not_kept)
{
	write_file("a.txt", "h\xe4llo");
	cr_assert_eq(get("a", ".txt"), ERR_INVALID);
	write_file("a.txt", "one");
	cr_assert_str_eq(got("a"), "one");
	write_file("a.txt", "h\xe4llo");
	now_ms += LIMIT_SHELF_MS;
	cr_assert_eq(get("a", ".txt"), ERR_INVALID);
	write_file("a.txt", "two");
	cr_assert_str_eq(got("a"), "two");
	cr_assert_eq(get("../a", ".txt"), ERR_NOT_FOUND);
}

Test(shelf, each_has_its_own_text_however_many_there_are)
{
	enum { FILES = 2 * LIMIT_SHELF + 3 };
	char name[32], type[16];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < FILES; i++) {
			snprintf(type, sizeof type, "t%d", i);
			snprintf(name, sizeof name, "%s.txt", type);
			if (round == 0)
				write_file(name, name);
			cr_assert_str_eq(got(type), name);
			cr_assert_leq(shelf.count, LIMIT_SHELF);
		}
	}
	cr_assert_eq(get("t1", ".html"), ERR_NOT_FOUND);
	cr_assert_str_eq(got("t1"), "t1.txt");
}
