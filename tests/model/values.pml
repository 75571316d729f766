/* Payload values. Three kinds: any value; a negative subnormal, which compares equal to the
 * sentinel under flush-to-zero (the alias); and -0, whose bits are the sentinel, which a sender
 * turns into +0.
 *
 * A shard or sum of `who` (a rank, or W for the sum of token t's owner). SentX is what a reader
 * must get, XWord is what goes into memory.
 */
#ifdef FLUSH_TO_ZERO_COMPARE
#define Present(w) ((w) & 1)
#else
#define Present(w) ((w) != 0)
#endif

#ifdef ANY_VALUES
#define STEP atomic

int alias_bits; /* ghost: which of the last two calls' values are aliases */
int minus_zero_bits;

#define ValueBit(who, t, op) (1 << (((who)*2 + (t)) * 2 + (op) % 2))
#define IsAlias(who, t, op) ((alias_bits & ValueBit(who, t, op)) != 0)
#define IsMinusZero(who, t, op) ((minus_zero_bits & ValueBit(who, t, op)) != 0)

inline ChooseKind(who, t, op) {
  alias_bits = alias_bits & ~ValueBit(who, t, op);
  minus_zero_bits = minus_zero_bits & ~ValueBit(who, t, op);
  if
  :: skip
  :: alias_bits = alias_bits | ValueBit(who, t, op)
#if defined(KEEP_MINUS_ZERO) || defined(KEEP_MINUS_ZERO_SUM)
  :: minus_zero_bits = minus_zero_bits | ValueBit(who, t, op)
#endif
  fi
}
#else
#define STEP d_step
#define IsAlias(who, t, op) (((who) + (op)) % 3 == 1)
#define IsMinusZero(who, t, op) (((who) + (op)) % 3 == 2)
#define ChooseKind(who, t, op) skip
#endif

#define Sanitised(who, t, op) (1 + 2 * (op) + IsAlias(who, t, op))
#define Raw(who, t, op) (IsMinusZero(who, t, op) -> 0 : Sanitised(who, t, op))

#define SentShard(who, t, op) Sanitised(who, t, op)
#define SentSum(t, op) Sanitised(W, t, op)
#ifdef KEEP_MINUS_ZERO
#define ShardWord(who, t, op) Raw(who, t, op)
#else
#define ShardWord(who, t, op) Sanitised(who, t, op)
#endif
#ifdef KEEP_MINUS_ZERO_SUM
#define SumWord(t, op) Raw(W, t, op)
#else
#define SumWord(t, op) Sanitised(W, t, op)
#endif
