/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher as a process, while Kafka is away and the disk gets full: in the end all is
 * delivered and it leaves. Needs the right to mount.
 */
#include <check.h>
#include <sys/mount.h>
#include <unistd.h>

#include "publisher_process.h"
#include "suite.h"

static void
a_full_disk_drains(const char *size)
{
	prepare(PUBLISH_TO_KAFKA);
	if (geteuid() != 0 || mount("tmpfs", dir, "tmpfs", 0, size) < 0) {
		close(publisher.go);
		return; /* needs the right to mount */
	}
	start("");
	ck_assert(put(1000));
	await_delivery(1);
	ck_assert_int_eq(rd_kafka_mock_broker_set_down(cluster, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
	url_length = CONFIG_URL_MAX;
	while (put(1500)) /* it tries again after a second */
		;
	ck_assert_int_eq(rd_kafka_mock_broker_set_up(cluster, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
	for (int i = 0; i < 5000; i++)
		ck_assert(put(30000));
	await_delivery(next_seq);
	finish();
	ck_assert_int_eq(umount(dir), 0);
}

START_TEST(a_small_full_disk_drains)
{
	a_full_disk_drains("size=24m");
}
END_TEST

START_TEST(a_large_full_disk_drains)
{
	a_full_disk_drains("size=64m");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("full_disk");
	TCase *tcase = tcase_create("full_disk");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 240);
	tcase_add_test(tcase, a_small_full_disk_drains);
	tcase_add_test(tcase, a_large_full_disk_drains);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
