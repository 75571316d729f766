// What the command's exit status means, the same in all subcommands. No state.
#pragma once

namespace lamplight {

inline constexpr int kExitClean = 0;
inline constexpr int kExitFindings = 1;
inline constexpr int kExitUnreadable = 2;  // nothing could be read, or the command line is wrong
inline constexpr int kExitNotExecutable = 126;  // run: as a shell reports it
inline constexpr int kExitNotFound = 127;

inline constexpr char kExitCodesText[] =
    "Exit status:\n"
    "  0  no finding\n"
    "  1  findings\n"
    "  2  nothing could be read, nothing could be written, or the command line is wrong";

inline constexpr char kRunExitCodesText[] =
    "Exit status: that of CMD; 128 + signal where a signal ended it; 126, 127 where it cannot "
    "start;\n2 where nothing was started because the command line or the trace folder is wrong";

}  // namespace lamplight
