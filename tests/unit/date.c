/* date.c -- tests of base/date.c: the calendar, there and back.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/base/date.c"

static void test_days(void)
{
	static const struct {
		int64_t seconds;
		const char *text;
		int weekday;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z", 4 },
		{ -1, "1970-01-01T00:00:00Z", 4 },
		{ INT64_MIN, "1970-01-01T00:00:00Z", 4 },
		{ 951782399, "2000-02-28T23:59:59Z", 1 },
		{ 951782400, "2000-02-29T00:00:00Z", 2 },
		{ 951868800, "2000-03-01T00:00:00Z", 3 },
		{ 4107542400, "2100-03-01T00:00:00Z", 1 },
		{ 1795612225, "2026-11-25T13:10:25Z", 3 },
		{ 253402300799, "9999-12-31T23:59:59Z", 5 },
		{ INT64_MAX, "9999-12-31T23:59:59Z", 5 }
	};
	char text[32];
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		struct buf b = buf_on(text, sizeof text);

		buf_date(&b, rows[i].seconds);
		T_STR(buf_str(&b), str_of(rows[i].text), "date %zu", i);
		T_INT(date_of(rows[i].seconds).weekday, rows[i].weekday,
		    "weekday of %s", rows[i].text);
		b.n = 0;
		buf_day(&b, rows[i].seconds);
		T_STR(buf_str(&b), str_head(str_of(rows[i].text), 10),
		    "day %zu", i);
	}
}

static void test_back(void)
{
	int64_t day, bad = 0;
	struct date d;

	for (day = 0; day <= 2932896; day++) {
		d = date_of(day * DAY + 1);
		bad += date_days(d.year, d.month, d.day) != day;
	}
	T_INT(bad, 0, "every day up to 9999, there and back");
}

static void test_digits(void)
{
	char text[32];
	struct buf b = buf_on(text, sizeof text);

	buf_digits(&b, 7, 2);
	buf_digits(&b, 12345, 3);
	buf_digits(&b, 0, 1);
	T_STR(buf_str(&b), S("073450"), "zeros in front, the last digits");
	b = buf_on(text, 3);
	buf_digits(&b, 1, 4);
	T(b.full && b.n == 0, "no room: nothing");
}

int main(void)
{
	test_days();
	test_back();
	test_digits();
	return t_done("date");
}
