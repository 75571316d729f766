/* Calls the library as a C program that found its package. Needs no device. */
#include <lamplight/collective.h>
#include <stdio.h>

int main(void) {
  lamplight_workspace_options options = LAMPLIGHT_WORKSPACE_OPTIONS_INIT;
  uint64_t bytes = 0;
  options.world = 8;
  options.max_tokens = 128;
  options.max_hidden = 4096;
  options.dtype = LAMPLIGHT_BF16;
  if (lamplight_workspace_bytes(&options, &bytes) != LAMPLIGHT_OK || bytes == 0) {
    char text[256];
    lamplight_last_error(text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  if (lamplight_version() != LAMPLIGHT_VERSION) return 2;
  if (lamplight_all_reduce(0, 0, 0) != LAMPLIGHT_ERROR_NULL) return 3;
  printf("%llu bytes\n", (unsigned long long)bytes);
  return 0;
}
