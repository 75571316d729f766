// Code in a library whose name is all that matters.
extern "C" __attribute__((visibility("default"))) int Here() { return 0; }
