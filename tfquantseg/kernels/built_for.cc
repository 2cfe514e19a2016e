// library.py looks for this text in the file before it loads it: a library that was compiled against
// another TensorFlow's headers may crash while it is loaded.
extern "C" __attribute__((used, visibility("default"))) const char tfquantseg_built_for[] =
    "tfquantseg kernels for TensorFlow " TFQUANTSEG_TENSORFLOW ";";
