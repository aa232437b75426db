/* date.c -- the calendar: seconds since 1970 to a date and back.
 *
 * Gregorian, UTC, no leap seconds. Years are counted from March, so that the
 * leap day is the last one of its year (Hinnant's method of 400-year eras).
 *
 * SPDX-License-Identifier: MIT */
#include "base.h"

enum { DAY = 86400, ERA = 146097, TO_MARCH_0000 = 719468 };

int64_t date_days(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day -
	    1 - TO_MARCH_0000;
}

struct date date_of(int64_t seconds)
{
	const int64_t last = date_days(9999, 12, 31) * DAY + DAY - 1;
	struct date d;
	int64_t days, era, doe, yoe, doy, mp;

	seconds = seconds < 0 ? 0 : seconds > last ? last : seconds;
	days = seconds / DAY + TO_MARCH_0000;
	era = days / ERA;
	doe = days % ERA;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	d.year = (int)(yoe + era * 400) + (d.month <= 2);
	d.weekday = (int)((seconds / DAY + 4) % 7);
	d.hour = (int)(seconds % DAY / 3600);
	d.minute = (int)(seconds / 60 % 60);
	d.second = (int)(seconds % 60);
	return d;
}

void buf_digits(struct buf *b, int v, int n)
{
	char text[20];
	int i = n < (int)sizeof text ? n : (int)sizeof text;

	for (n = i; i--; v /= 10)
		text[i] = (char)('0' + v % 10);
	buf_put(b, (struct str){ text, (size_t)n });
}

void buf_day(struct buf *b, int64_t seconds)
{
	struct date d = date_of(seconds);

	buf_digits(b, d.year, 4);
	buf_chr(b, '-');
	buf_digits(b, d.month, 2);
	buf_chr(b, '-');
	buf_digits(b, d.day, 2);
}

void buf_clock(struct buf *b, int hour, int minute, int second)
{
	buf_digits(b, hour, 2);
	buf_chr(b, ':');
	buf_digits(b, minute, 2);
	buf_chr(b, ':');
	buf_digits(b, second, 2);
}

void buf_date(struct buf *b, int64_t seconds)
{
	struct date d = date_of(seconds);

	buf_day(b, seconds);
	buf_chr(b, 'T');
	buf_clock(b, d.hour, d.minute, d.second);
	buf_chr(b, 'Z');
}
