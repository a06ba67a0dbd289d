/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Lists of verdicts, V(name, sentence), as enumerators for C and as names and
 * sentences for Go, which reads them from the object file.
 */
#ifndef LBCTL_WORDS_H
#define LBCTL_WORDS_H

struct words {
	char name[24];
	char sentence[104];
};

#define AS_ENUMERATOR(name, sentence) name,
#define AS_WORDS(name, sentence) { #name, sentence },

#endif
