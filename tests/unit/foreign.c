/* Hashes of other programs: known ones match, broken and costly ones are refused, and all of them are upgraded. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "server/password/foreign.h"
#include "server/password/password.h"
#include "server/password/wrap.h"

/* Settings that take but a moment, or the published ones. */
static const struct {
	const char *name, *password, *hash;
} known[] = {
	/* Openwall's crypt_blowfish, wrapper.c */
	{"bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	{"bcrypt", "U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	{"bcrypt", "U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	/* https://www.akkadia.org/drepper/SHA-crypt.txt */
	{"sha512-crypt", "Hello world!",
		"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
	{"sha512-crypt", "Hello world!",
		"$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/"
		"YTBmSK6H9qs/y3RnOaw5v."},
	{"sha256-crypt", "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
	/* yescrypt's own tests, as libxcrypt has them */
	{"scrypt", "pleaseletmein", "$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D"},
	/* made by crypt(3) of libxcrypt 4.4.33 */
	{"yescrypt", "correct horse battery staple",
		"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO5"},
	/* https://passlib.readthedocs.io/en/stable/lib/passlib.hash.scrypt.html and …pbkdf2_digest.html */
	{"scrypt", "password",
		"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"},
	{"pbkdf2-sha256", "password",
		"$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M"},
	/* made by Python's hashlib */
	{"pbkdf2-sha512", "correct horse battery staple",
		"$pbkdf2-sha512$25000$c2FsdHlzYWx0eXNhbHQxNg$"
		"fS7.MUOYghG1kGe1vdahgEbCFfQxGsMORRo1TGyPSVvUoq0gYEE/dxT/OuPelbQ7hqHr7YlLdWe7zBGc8E08Bg"},
	{"pbkdf2-sha256", "correct horse battery staple",
		"pbkdf2_sha256$600000$saltSALT22$xE3jY7ThmODs02/mnrys/xo2C5ZFiowBVuVZ5w6L4U0="},
};
enum { KNOWN = sizeof(known) / sizeof(known[0]) };

static struct config config;
static struct metrics *metrics;
static struct passwords *passwords;
static struct stored_rules rules;

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	metrics = metrics_new();
	config.password.memory_kib = 64;
	config.password.passes = 1;
	config.password.slots = 1;
	config.password.queue = 2;
	config.password.queue_timeout_ms = 20000;
	stored_rules_make(&config, &rules);
	cr_assert_eq(passwords_start(&config, metrics, &passwords), 0);
}

static void teardown(void)
{
	passwords_stop(passwords);
	stored_rules_release(&rules);
	metrics_free(metrics);
}

/* the published settings take valgrind some minutes */
TestSuite(foreign, .init = setup, .fini = teardown, .timeout = 300);

static struct password_check verify(const char *stored, const char *password)
{
	struct password_check check = {.matches = false};

	cr_assert_eq(password_verify(passwords, stored, password, NULL, NULL, &check), 0, "%s", stored);
	return check;
}

Test(foreign, known_hashes_match_their_password_and_no_other)
{
	for (size_t i = 0; i < KNOWN; i++) {
		const char *hash = NULL, *why = NULL;
		struct password_check check = verify(known[i].hash, known[i].password);
		struct foreign foreign;

		cr_expect_eq(foreign_read(known[i].hash, &foreign, &hash, &why), 0, "%s", known[i].hash);
		cr_expect_str_eq(foreign_name(&foreign), known[i].name);
		cr_expect(check.matches, "%s", known[i].hash);
		cr_expect(check.needs_rehash, "%s", known[i].hash);
		check = verify(known[i].hash, "Hello world");
		cr_expect_not(check.matches, "%s", known[i].hash);
		cr_expect_not(check.needs_rehash);
	}
}

Test(foreign, one_character_of_a_hash_matters)
{
	char other[LIMIT_FOREIGN_HASH + 1];

	for (size_t i = 0; i < KNOWN; i++) {
		size_t at = strlen(known[i].hash) - 5;

		memcpy(other, known[i].hash, strlen(known[i].hash) + 1);
		other[at] = other[at] == 'a' ? 'b' : 'a';
		cr_expect_not(verify(other, known[i].password).matches, "%s", other);
	}
}

Test(foreign, a_wrapped_hash_matches_the_same_password_and_says_nothing_of_the_foreign_one)
{
	struct wrapper wrapper;
	char wrapped[PASSWORD_HASH_SIZE];
	const char *why = NULL;

	wrapper_init(&wrapper, &rules);
	for (size_t i = 0; i < KNOWN; i++) {
		const char *hash_part = strrchr(known[i].hash, '$') + 1;
		struct password_check check;

		if (known[i].hash[1] == '2')
			hash_part = known[i].hash + 29;
		cr_assert_eq(wrapper_wrap(&wrapper, known[i].hash, wrapped), 0, "%s", known[i].hash);
		cr_expect_eq(strncmp(wrapped, "$wrap$", 6), 0);
		cr_expect_null(strstr(wrapped, hash_part), "%s", wrapped);
		cr_expect_eq(stored_acceptable(&rules, wrapped, &why), 0, "%s: %s", wrapped, why);
		check = verify(wrapped, known[i].password);
		cr_expect(check.matches, "%s", wrapped);
		cr_expect(check.needs_rehash);
		cr_expect_not(verify(wrapped, "another password").matches, "%s", wrapped);
	}
	cr_expect_eq(wrapper_wrap(&wrapper, "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFB", wrapped),
		ERR_NOT_FOUND, "Argon2 needs none");
}

/* 72 bytes are all that bcrypt sees, and a longer password than crypt(3) takes is no reason to refuse its owner. */
Test(foreign, bcrypt_takes_the_first_72_bytes)
{
	char longer[LIMIT_PASSWORD_CHARACTERS], hash[PASSWORD_HASH_SIZE];
	struct foreign foreign;
	char output[FOREIGN_OUTPUT];
	const char *settings = "$2b$04$abcdefghijklmnopqrstuu", *why = NULL;

	memset(longer, 'x', sizeof(longer));
	longer[72] = '\0';
	cr_assert_eq(foreign_read_settings(settings, strlen(settings), 31, &foreign, &why), 0, "%s", why);
	cr_assert_eq(foreign_compute(&foreign, longer, output), 0);
	(void)snprintf(hash, sizeof(hash), "%s%s", settings, output);
	longer[72] = 'x';
	longer[sizeof(longer) - 1] = '\0';
	cr_expect(verify(hash, longer).matches);
	longer[71] = 'y';
	cr_expect_not(verify(hash, longer).matches);
}

/* What their makers hashed is what was typed: not NFKC. */
Test(foreign, a_password_is_taken_as_it_was_typed_too)
{
	/* of "pass", a ligature and "word": Python's hashlib, on the bytes as they are */
	static const char typed[] = "pass\xef\xac\x81word";
	struct foreign foreign;
	char output[FOREIGN_OUTPUT], hash[PASSWORD_HASH_SIZE];
	const char *settings = "pbkdf2_sha256$1000$salt$", *why = NULL;

	cr_assert_eq(foreign_read_settings(settings, strlen(settings), 44, &foreign, &why), 0);
	cr_assert_eq(foreign_compute(&foreign, typed, output), 0);
	(void)snprintf(hash, sizeof(hash), "%s%s", settings, output);
	cr_expect(verify(hash, typed).matches);
	cr_expect_not(verify(hash, "passfiword").matches, "which is its NFKC");
}

Test(foreign, what_would_take_the_machine_is_refused)
{
	static const char *const dear[] = {
		"$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$5$rounds=1000001$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
		"$5$rounds=999999999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
		"$y$jFT$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO5",
		"$y$jzT$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO5",
		"$7$J6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
		"$7$z6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
		"$7$Czzzzzzzzzz$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
		"$scrypt$ln=19,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
		"$scrypt$ln=63,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
		"$scrypt$ln=64,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
		"$scrypt$ln=1,r=4294967295,p=9$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
		"$scrypt$ln=16,r=8,p=9$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
		"$pbkdf2-sha256$4000001$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
		"pbkdf2_sha256$4000001$saltSALT22$xE3jY7ThmODs02/mnrys/xo2C5ZFiowBVuVZ5w6L4U0=",
		"$argon2id$v=19$m=1048577,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
		"$argon2id$v=19$m=64,t=21,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
	};
	int64_t begun_us = clock_mono_us();
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(dear) / sizeof(dear[0]); i++) {
		int err = stored_acceptable(&rules, dear[i], &why);

		/* a salt may have no $ in it, so that this one breaks its form as well */
		cr_expect(err == ERR_LIMIT || (err == ERR_INVALID && strstr(dear[i], "Czzzz")), "%s: %d", dear[i], err);
		cr_expect_not(verify(dear[i], "U*U").matches, "%s", dear[i]);
	}
	cr_expect_lt(clock_mono_us() - begun_us, 20 * 1000000, "none of them is computed");
}

static const char *const broken[] = {
	"",
	"*",
	"*0",
	"!",
	"x",
	"$",
	"$$",
	"$2$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	"$2b$",
	"$2b$05$",
	"$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	"$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	"$2b$32$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
	"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
	"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO$W",
	"$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
	"$6$",
	"$6$saltstring",
	"$6$saltstring$",
	"$6$rounds=999$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
	"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$6$rounds=05000$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
	"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$6$rounds=-1$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
	"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$6$saltstringsaltstri$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
	"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$6$salt:string$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$5$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$y$",
	"$y$j9T",
	"$y$/9T$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO5",
	"$y$j9T0$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO5",
	"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO",
	"$7$C6....",
	"$7$C6....$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
	"$7$.6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
	"$7$C........../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
	"$scrypt$",
	"$scrypt$ln=16,r=8$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
	"$scrypt$ln=16,r=8,p=0$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
	"$scrypt$r=8,ln=16,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
	"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
	"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD",
	"$pbkdf2$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
	"$pbkdf2-sha256$0$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
	"$pbkdf2-sha256$99999999999999999999$0ZrzXitFSGltTQnBWOsdAw$"
	"Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
	"$pbkdf2-sha256$6400$0Zrz+itFSGltTQnBWOsdew$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
	"$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H",
	"pbkdf2_sha256$600000$$xE3jY7ThmODs02/mnrys/xo2C5ZFiowBVuVZ5w6L4U0=",
	"pbkdf2_sha256$600000$salt\"SALT$xE3jY7ThmODs02/mnrys/xo2C5ZFiowBVuVZ5w6L4U0=",
	"pbkdf2_sha1$600000$saltSALT22$xE3jY7ThmODs02/mnrys/xo2C5ZFiowBVuVZ5w6L4U0=",
	"$argon2id$v=19$m=64,t=1,p=1$not base64$",
	"$argon2d$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
	"$pepper$",
	"$pepper$01234567",
	"$pepper$0123456$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
	"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
	"$pepper$01234567$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
	"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"$wrap$",
	"$wrap$43",
	"$wrap$43:$5$saltstring$:",
	"$wrap$43:$5$saltstring$:x",
	"$wrap$99999999999999999999:$5$saltstring$:$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFB",
	"$wrap$44:$5$saltstring$:$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFB",
	"$wrap$43:$5$saltstring$:$wrap$43:$5$saltstring$:$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
	"QUFB",
};

Test(foreign, what_is_no_hash_is_refused)
{
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		why = NULL;
		cr_expect_neq(stored_acceptable(&rules, broken[i], &why), 0, "%s", broken[i]);
		cr_expect_not_null(why, "%s", broken[i]);
		cr_expect_not(verify(broken[i], "U*U").matches, "%s", broken[i]);
	}
}

/*
 * Every text that is left when a known one is cut, or has a byte changed: it may match nothing, and must break nothing.
 */
Test(foreign, no_mutilation_of_a_known_hash_matches)
{
	static const char bytes[] = {'$', '=', ',', '0', '9', '/', 'z', ':', ' ', '\n', '\x80'};
	char text[LIMIT_FOREIGN_HASH + 1];
	const char *hash = NULL, *why = NULL;
	struct foreign foreign;

	for (size_t i = 0; i < KNOWN; i++) {
		size_t len = strlen(known[i].hash);

		for (size_t cut = 0; cut < len; cut++) {
			memcpy(text, known[i].hash, len + 1);
			text[cut] = '\0';
			cr_expect_neq(foreign_read(text, &foreign, &hash, &why), 0, "%s", text);
			for (size_t b = 0; b < sizeof(bytes); b++) {
				memcpy(text, known[i].hash, len + 1);
				text[cut] = bytes[b];
				/* what is read well is within the bounds of a cost */
				if (foreign_read(text, &foreign, &hash, &why) == 0)
					cr_expect(foreign.n * foreign.r * foreign.p <= LIMIT_SCRYPT_BYTES / 128 &&
							  foreign.rounds <= LIMIT_PBKDF2_ROUNDS,
						"%s", text);
			}
		}
	}
}

static int compare(const void *left, const void *right)
{
	const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return a < b ? -1 : a > b;
}

/* A function that takes no time at all is topped up to what an unknown user takes: within wide bounds, on a busy machine. */
Test(foreign, a_cheap_hash_takes_the_time_of_an_unknown_user)
{
	static const char cheap[] =
		"$pbkdf2-sha256$1$c2FsdHlzYWx0eXNhbHQxNg$nLDAL05/wbwvQ3d3ySaFFkQBzsU379sj6tb0bP1sevw";
	enum { RUNS = 15 };
	int64_t nobody_us[RUNS], cheap_us[RUNS];

	passwords_stop(passwords);
	config.password.memory_kib = 16384;
	config.password.passes = 2;
	cr_assert_eq(passwords_start(&config, metrics, &passwords), 0);
	for (int i = 0; i < RUNS; i++) {
		cheap_us[i] = verify(cheap, "secret").hash_us;
		nobody_us[i] = verify("", "secret").hash_us;
	}
	qsort(nobody_us, RUNS, sizeof(nobody_us[0]), compare);
	qsort(cheap_us, RUNS, sizeof(cheap_us[0]), compare);
	cr_expect_gt(2 * cheap_us[RUNS / 2], nobody_us[RUNS / 2]);
	cr_expect_lt(cheap_us[RUNS / 2], 2 * nobody_us[RUNS / 2]);
}
