#include "config/id.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { TIME_BITS = 48, ID_BYTES = TIME_BITS / 8 + ID_RANDOM };

/* Bytes of one system call: some fifty ids. */
enum { STOCK = 512 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void write_id(char ret_id[ID_SIZE], int64_t now_ms, const unsigned char random[ID_RANDOM])
{
	unsigned char bytes[ID_BYTES];
	uint64_t time = (uint64_t)now_ms;

	for (int i = 0; i < TIME_BITS / 8; i++)
		bytes[i] = (unsigned char)(time >> (TIME_BITS - 8 * (i + 1)));
	memcpy(bytes + TIME_BITS / 8, random, ID_RANDOM);

	/* 26 characters hold 130 bits: two zero bits lead, so the first character is 0 to 7 */
	unsigned int bits = 0, held = 2;
	size_t in = 0;
	for (int out = 0; out < ID_LENGTH; out++) {
		if (held < 5) {
			bits = bits << 8 | bytes[in++];
			held += 8;
		}
		held -= 5;
		ret_id[out] = alphabet[bits >> held & 31];
		bits &= (1u << held) - 1;
	}
	ret_id[ID_LENGTH] = '\0';
}

void id_random(void *ret_bytes, size_t len)
{
	static _Thread_local struct {
		unsigned char bytes[STOCK];
		size_t left;
	} stock;

	assert(len <= ID_RANDOM_MAX);
	if (stock.left < len) {
		randombytes_buf(stock.bytes, sizeof(stock.bytes));
		stock.left = STOCK;
	}
	memcpy(ret_bytes, stock.bytes + STOCK - stock.left, len);
	stock.left -= len;
}

void id_new(char ret_id[ID_SIZE], int64_t now_ms)
{
	unsigned char random[ID_RANDOM];

	id_random(random, sizeof(random));
	write_id(ret_id, now_ms, random);
}

void id_series_init(struct id_series *series)
{
	randombytes_buf(series->start, sizeof(series->start));
	atomic_init(&series->count, 0);
}

void id_series_next(struct id_series *series, char ret_id[ID_SIZE], int64_t now_ms)
{
	unsigned char bytes[ID_RANDOM];
	uint64_t left = atomic_fetch_add_explicit(&series->count, 1, memory_order_relaxed);

	for (size_t i = ID_RANDOM; i-- > 0; left >>= 8) {
		left += series->start[i];
		bytes[i] = (unsigned char)left;
	}
	write_id(ret_id, now_ms, bytes);
}

bool id_valid(const char *text)
{
	if (!text || strspn(text, alphabet) != ID_LENGTH || text[ID_LENGTH])
		return false;
	return text[0] <= '7'; /* above, the time would need more than 48 bits */
}
