/*
 * A file of the tree built into the program, as a text of its own:
 *
 *   EMBED(page_script, "server/auth/pages/page.js");    at file level
 *   … page_script, strlen(page_script) …
 *
 * The path counts from the root of the tree, where the compiler is run. The text ends with a NUL, and is constant. The
 * compiler's own list of dependencies does not know of it: the Makefile has a line for each object that embeds.
 */
#ifndef TOKENFIRST_SERVER_EMBED_H
#define TOKENFIRST_SERVER_EMBED_H

#define EMBED(name, path)                                                                                              \
	extern const char name[] __attribute__((visibility("hidden")));                                                \
	__asm__(".pushsection .rodata\n" #name ":\n.incbin \"" path "\"\n.byte 0\n.popsection\n")

#endif
