// A libunwind without its functions, for the test of the fallback. Holds nothing else.
extern "C" __attribute__((visibility("default"))) int lamplight_no_unwind() { return 0; }
