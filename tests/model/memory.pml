/* Memory of the ranks as a relaxed memory: a store is on its way until it lands, at any later
 * time, in any order with stores to other places. Stores of one writer to one place keep their
 * order: a second one is not sent while the first is on its way, and that this holds is checked
 * (overtaken).
 *
 * A rank's workspace has GENERATIONS x SLOTS packets of WORDS words. With SPLIT the words of a
 * packet land one by one, else together.
 *
 * A word is 0, the sentinel, or 1 + 2 * call + (1 if its bits are a negative subnormal): the
 * number of the call that sent it is a ghost, no rule of the protocol looks at it.
 *
 * REDUCED, a partial-order reduction by hand for more ranks: a store or clear commutes with every
 * step that does not touch its place, so it is put off until one may. A store lands only in the
 * generation that its rank works on, or where a clear is on its way too; a clear lands only where
 * a store is on its way or in that generation, and the rest of a block's clears at its arrival.
 * Holds only where a rank touches no generation but its current one and clears end by the arrival:
 * fixed order, no SPLIT.
 *
 * The including model has defined W, B, LANES, GENERATIONS, SLOTS, WORDS.
 */
#ifdef SPLIT
#define UNITS WORDS
#else
#define UNITS 1
#endif
#define PLACES (GENERATIONS * SLOTS)

byte word[W * PLACES * WORDS];
byte carried[W * PLACES];     /* by the store of a peer that is on its way there */
int landing[W];               /* bit per unit of a place: a peer's store is on its way */
int clearing[W * B * LANES];  /* bit per unit of a place: a clear of that block is on its way */
bool overtaken, stale_read;

#define WordAt(rank, place, w) word[((rank)*PLACES + (place)) * WORDS + (w)]
#define Bit(place, unit) (1 << ((place)*UNITS + (unit)))
#define PlaceBits(place) (((1 << UNITS) - 1) << ((place)*UNITS))

inline StoreHere(rank, place, value) {
  WordAt(rank, place, 0) = PartOf(value, 0);
#if WORDS == 2
  WordAt(rank, place, 1) = PartOf(value, 1)
#endif
}

inline StoreToPeer(rank, place, value) {
#ifndef LATER_STORE_WINS
  overtaken = (landing[rank] & PlaceBits(place)) != 0;
  assert(!overtaken);
#endif
  landing[rank] = landing[rank] | PlaceBits(place);
  carried[(rank)*PLACES + (place)] = value
}

inline SetUnit(rank, place, unit, value) {
#ifdef SPLIT
  WordAt(rank, place, unit) = PartOf(value, unit)
#else
  StoreHere(rank, place, value)
#endif
}

#ifdef REDUCED
#if defined(SPLIT) || defined(FIELD_ORDER) || defined(MIXED_GROUP) || LANES > 1 || \
  defined(EARLY_COUNT) || B > 2
#error "REDUCED holds for the fixed order and two blocks only"
#endif
#define Working(place) ((place) / SLOTS == WorkingGeneration(rank))
#define MayLand(place)                                                                        \
  (Working(place) || ((clearing[rank * B] | clearing[rank * B + B - 1]) & PlaceBits(place)))
#define MayClear(place) (Working(place) || (landing[rank] & PlaceBits(place)))
#else
#define MayLand(place) true
#define MayClear(place) true
#endif

#define LANDS(place, unit)                                                                    \
  :: atomic {                                                                                 \
    (landing[rank] & Bit(place, unit)) && MayLand(place) ->                                   \
    printf("rank %d: a peer's packet lands in generation %d slot %d, part %d\n", rank,        \
           (place) / SLOTS, (place) % SLOTS, unit);                                           \
    SetUnit(rank, place, unit, carried[rank * PLACES + (place)]);                             \
    landing[rank] = landing[rank] & ~Bit(place, unit);                                        \
    if                                                                                        \
    :: (landing[rank] & PlaceBits(place)) == 0 -> carried[rank * PLACES + (place)] = 0        \
    :: else                                                                                   \
    fi                                                                                        \
  }

#define CLEARS(place, unit)                                                                   \
  :: atomic {                                                                                 \
    (clearing[owner] & Bit(place, unit)) && MayClear(place) ->                                \
    printf("rank %d: its clear reaches generation %d slot %d, part %d\n", rank,               \
           (place) / SLOTS, (place) % SLOTS, unit);                                           \
    SetUnit(rank, place, unit, 0);                                                            \
    clearing[owner] = clearing[owner] & ~Bit(place, unit)                                     \
  }

#ifdef SPLIT
#define EACH(WHAT, place) WHAT(place, 0) WHAT(place, 1)
#else
#define EACH(WHAT, place) WHAT(place, 0)
#endif
#define PLACES_0_3(WHAT) EACH(WHAT, 0) EACH(WHAT, 1) EACH(WHAT, 2) EACH(WHAT, 3)
#define PLACES_4_5(WHAT) EACH(WHAT, 4) EACH(WHAT, 5)
#define PLACES_6_7(WHAT) EACH(WHAT, 6) EACH(WHAT, 7)
#define PLACES_8_11(WHAT) EACH(WHAT, 8) EACH(WHAT, 9) EACH(WHAT, 10) EACH(WHAT, 11)
#define PLACES_12_17(WHAT)                                                                   \
  EACH(WHAT, 12) EACH(WHAT, 13) EACH(WHAT, 14) EACH(WHAT, 15) EACH(WHAT, 16) EACH(WHAT, 17)

#if PLACES == 4
#define EACH_PLACE(WHAT) PLACES_0_3(WHAT)
#elif PLACES == 6
#define EACH_PLACE(WHAT) PLACES_0_3(WHAT) PLACES_4_5(WHAT)
#elif PLACES == 8
#define EACH_PLACE(WHAT) PLACES_0_3(WHAT) PLACES_4_5(WHAT) PLACES_6_7(WHAT)
#elif PLACES == 12
#define EACH_PLACE(WHAT) PLACES_0_3(WHAT) PLACES_4_5(WHAT) PLACES_6_7(WHAT) PLACES_8_11(WHAT)
#elif PLACES == 18
#define EACH_PLACE(WHAT)                                                                     \
  PLACES_0_3(WHAT) PLACES_4_5(WHAT) PLACES_6_7(WHAT) PLACES_8_11(WHAT) PLACES_12_17(WHAT)
#else
#error "no list of places for this GENERATIONS * SLOTS"
#endif

/* The end of a block's clears: all have landed. */
inline FinishClears(rank, owner) {
#ifdef REDUCED
  i = 0;
  do
  :: i < PLACES ->
    if
    :: clearing[owner] & PlaceBits(i) -> StoreHere(rank, i, 0)
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0;
  clearing[owner] = 0
#else
  clearing[owner] == 0
#endif
}

/* Peers' stores to one rank, in any order. */
proctype Link(byte rank) {
end:
  do
  EACH_PLACE(LANDS)
  od
}

/* The clears of one block (and lane) of a rank, in any order. */
proctype LocalStores(byte rank; byte owner) {
end:
  do
  EACH_PLACE(CLEARS)
  od
}
