#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/telemetry/metrics.h"

static struct metrics *metrics;
static struct buf out;

static void setup(void)
{
	metrics = metrics_new();
	cr_assert_not_null(metrics);
	buf_init(&out, 1 << 20);
}

static void teardown(void)
{
	metrics_free(metrics);
	buf_release(&out);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static const char *rendered(void)
{
	buf_reset(&out);
	metrics_render(metrics, &out);
	cr_assert_eq(buf_error(&out), 0);
	return out.data;
}

Test(metrics, help_and_type_come_once_per_family_in_order_of_registration)
{
	struct counter *ok = metrics_counter(metrics, "z_total", "Last letter.", "outcome=\"ok\"");
	struct gauge *depth = metrics_gauge(metrics, "a_depth", "First letter.", 1, NULL);
	struct counter *dead = metrics_counter(metrics, "z_total", "Last letter.", "outcome=\"dead\"");

	counter_add(ok, 3);
	counter_add(dead, 18446744073709551615u);
	gauge_set(depth, -7);
	cr_assert_str_eq(rendered(), "# HELP z_total Last letter.\n"
				     "# TYPE z_total counter\n"
				     "z_total{outcome=\"ok\"} 3\n"
				     "z_total{outcome=\"dead\"} 18446744073709551615\n"
				     "# HELP a_depth First letter.\n"
				     "# TYPE a_depth gauge\n"
				     "a_depth -7\n");
	cr_assert_eq(metrics_error(metrics), 0);
}

Test(metrics, the_same_name_and_labels_give_the_same_object)
{
	struct counter *one = metrics_counter(metrics, "x_total", "X.", "effect=\"crm\"");

	cr_assert_eq(one, metrics_counter(metrics, "x_total", "X.", "effect=\"crm\""));
	cr_assert_neq(one, metrics_counter(metrics, "x_total", "X.", "effect=\"bus\""));
	cr_assert_neq(one, metrics_counter(metrics, "x_total", "X.", NULL));
}

Test(metrics, gauges_are_shown_in_their_unit)
{
	gauge_set(metrics_gauge(metrics, "age_seconds", "Age.", 1e-3, NULL), 1767323045678);
	cr_assert_not_null(strstr(rendered(), "\nage_seconds 1767323045.678\n"), "%s", out.data);
}

Test(metrics, a_mirror_is_a_counter)
{
	gauge_set(metrics_mirror(metrics, "cpu_seconds_total", "CPU.", 1e-6, NULL), 1500000);
	cr_assert_str_eq(rendered(), "# HELP cpu_seconds_total CPU.\n"
				     "# TYPE cpu_seconds_total counter\n"
				     "cpu_seconds_total 1.5\n");
}

Test(metrics, histograms_are_cumulative_with_sum_count_and_infinity)
{
	static const struct histogram_layout layout = {.unit = 1e-6, .count = 3, .bounds = {100, 7500, 1000000}};
	struct histogram *h = metrics_histogram(metrics, "t_seconds", "T.", &layout, "stage=\"parse\"");

	histogram_observe(h, 50);
	histogram_observe(h, 7500);
	histogram_observe(h, 2000000);
	cr_assert_str_eq(rendered(), "# HELP t_seconds T.\n"
				     "# TYPE t_seconds histogram\n"
				     "t_seconds_bucket{stage=\"parse\",le=\"0.0001\"} 1\n"
				     "t_seconds_bucket{stage=\"parse\",le=\"0.0075\"} 2\n"
				     "t_seconds_bucket{stage=\"parse\",le=\"1\"} 2\n"
				     "t_seconds_bucket{stage=\"parse\",le=\"+Inf\"} 3\n"
				     "t_seconds_sum{stage=\"parse\"} 2.00755\n"
				     "t_seconds_count{stage=\"parse\"} 3\n");
}

Test(metrics, a_histogram_without_labels_has_le_alone)
{
	static const struct histogram_layout layout = {.unit = 1, .count = 1, .bounds = {1}};

	metrics_histogram(metrics, "rows", "Rows.", &layout, NULL);
	cr_assert_not_null(strstr(rendered(), "\nrows_bucket{le=\"1\"} 0\nrows_bucket{le=\"+Inf\"} 0\nrows_sum 0\n"));
}

Test(metrics, label_values_are_escaped)
{
	struct buf labels;

	buf_init(&labels, 256);
	metrics_label(&labels, "a", "plain");
	metrics_label(&labels, "b", "back\\slash \"quoted\"\nline");
	cr_assert_str_eq(labels.data, "a=\"plain\",b=\"back\\\\slash \\\"quoted\\\"\\nline\"");
	buf_release(&labels);
}

static void count_calls(void *arg)
{
	gauge_add(arg, 1);
}

Test(metrics, refreshers_run_before_each_rendering)
{
	struct gauge *calls = metrics_gauge(metrics, "calls", "Calls.", 1, NULL);

	metrics_on_render(metrics, count_calls, calls);
	cr_assert_not_null(strstr(rendered(), "\ncalls 1\n"));
	cr_assert_not_null(strstr(rendered(), "\ncalls 2\n"));
}

static void register_more(void *arg)
{
	(void)arg;
	gauge_set(metrics_gauge(metrics, "late", "Found while rendering.", 1, NULL), 5);
}

Test(metrics, a_refresher_may_register)
{
	metrics_on_render(metrics, register_more, NULL);
	cr_assert_not_null(strstr(rendered(), "\nlate 5\n"));
}

static void *register_and_count(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		char labels[32];

		snprintf(labels, sizeof labels, "n=\"%d\"", i);
		counter_add(metrics_counter(metrics, "shared_total", "Shared.", labels), 1);
	}
	return NULL;
}

static void *render_often(void *arg)
{
	struct buf mine;

	(void)arg;
	buf_init(&mine, 1 << 20);
	for (int i = 0; i < 20; i++) {
		buf_reset(&mine);
		metrics_render(metrics, &mine);
	}
	buf_release(&mine);
	return NULL;
}

Test(metrics, threads_register_the_same_and_render_at_once)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, i < 2 ? register_and_count : render_often, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	rendered();
	for (int i = 0; i < 200; i++) {
		char line[64];
		const char *found;

		snprintf(line, sizeof line, "\nshared_total{n=\"%d\"} 2\n", i);
		found = strstr(out.data, line);
		cr_assert_not_null(found, "%s", line);
		cr_assert_null(strstr(found + 1, line), "%s", line);
	}
}

static double value_of(const char *name)
{
	char line[128];
	const char *found;

	snprintf(line, sizeof line, "\n%s ", name);
	found = strstr(out.data, line);
	cr_assert_not_null(found, "%s", name);
	return strtod(found + strlen(line), NULL);
}

Test(metrics, process_metrics_are_plausible)
{
	metrics_register_process(metrics);
	rendered();
	cr_assert_not_null(
		strstr(out.data, "\ntokenfirst_build_info{version=\"" TOKENFIRST_VERSION "\","), "%s", out.data);
	cr_assert_gt(value_of("process_resident_memory_bytes"), 100000);
	cr_assert_geq(value_of("process_virtual_memory_bytes"), value_of("process_resident_memory_bytes"));
	cr_assert_geq(value_of("process_open_fds"), 3);
	cr_assert_gt(value_of("process_max_fds"), value_of("process_open_fds"));
	cr_assert_geq(value_of("process_threads"), 1);
	cr_assert_geq(value_of("process_cpu_seconds_total"), 0);
}

Test(metrics, the_process_began_a_moment_ago)
{
	const double now = (double)time(NULL);

	metrics_register_process(metrics);
	rendered();
	cr_assert_leq(value_of("process_start_time_seconds"), now + 2);
	cr_assert_geq(value_of("process_start_time_seconds"), now - 120);
}

Test(metrics, promtool_has_nothing_to_say)
{
	struct buf labels;
	FILE *promtool;

	if (system("command -v promtool >/dev/null") != 0)
		cr_skip_test("promtool is not installed");
	metrics_register_process(metrics);
	metrics_counter(metrics, "tokenfirst_effects_total", "Effects that ended.", "effect=\"crm\",outcome=\"dead\"");
	metrics_histogram(metrics, "tokenfirst_login_duration_seconds", "The critical path.", &histogram_seconds,
		"outcome=\"ok\"");
	metrics_histogram(metrics, "tokenfirst_outbox_commit_rows", "Rows a commit.", &histogram_counts, NULL);
	buf_init(&labels, 256);
	metrics_label(&labels, "route", "a \"quoted\" \\ value\nof two lines");
	metrics_gauge(metrics, "tokenfirst_odd", "A gauge with odd labels.", 1, labels.data);
	buf_release(&labels);
	rendered();
	promtool = popen("promtool check metrics", "w");
	cr_assert_not_null(promtool);
	cr_assert_eq(fwrite(out.data, 1, out.len, promtool), out.len);
	cr_assert_eq(pclose(promtool), 0);
}
