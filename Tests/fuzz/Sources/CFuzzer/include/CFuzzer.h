// CFuzzer.h: the entry point of libFuzzer for programs that bring their own main. Source: LLVM, FuzzerInterface.h.
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
