/*
 * Base64 as it comes in (RFC 4648), strictly: no other characters, no wrong padding, no bits left over. So bytes have one text.
 *
 * By libsodium, whose reader (1.0.18) takes every byte of 0x80 and above for the last character of the alphabet: those are refused first.
 *
 * Pure, in constant time for one length of valid text.
 */
#ifndef TOKENFIRST_CONFIG_BASE64_H
#define TOKENFIRST_CONFIG_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* `variant`: one of libsodium's sodium_base64_VARIANT_… false: it is none, or more than `size` bytes; `ret_bytes` may then be written to. */
bool base64_read(const char *text, size_t len, int variant, void *ret_bytes, size_t size, size_t *ret_len);

#endif
