/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff.pml - who owns a disk, with crashes, restarts and lost, delayed and repeated
 * messages at every step. docs/model.md says where each step is in the code.
 *
 * NS services, one disk. A record survives a crash, everything else does not. One step
 * of this model is one thing of the code that a crash or another thread can come
 * between. Other sessions than those of the two sides' ownership: session.pml.
 *
 * -DNS=2          services
 * -DMAX_EPOCH=5   no handoff begins that could need a higher epoch
 * -DMAX_CRASHES=3, -DMAX_WRITES=2
 * -DLOCK          the device's lock works (one host). Without it only the records and
 *                 epochs keep two owners apart, as between hosts
 * -DPARK          with park and unpark, and what is parked is handed on
 * -DBUG_...       seeded bugs, see below
 */
#ifndef NS
#define NS 2
#endif
#ifndef MAX_EPOCH
#define MAX_EPOCH 5
#endif
#ifndef MAX_CRASHES
#define MAX_CRASHES 3
#endif
#ifndef MAX_WRITES
#define MAX_WRITES 2
#endif
#define NOBODY 255

/* migrate/record/record.h: durable */
mtype:role = { STANDBY, OWNER, GIVEN, PARKED };
mtype:role role[NS];
byte epoch[NS];
byte peer[NS];    /* given: to whom */
bool learned[NS]; /* given: not by us at this epoch, so there is nothing to tell */
byte refused[NS]; /* the highest epoch that was refused for good */
bool was_parked[NS]; /* given, or parked: has_parked */

/* A service's memory */
mtype:gate = { NO_PORT, OPEN_A, HELD_A, OPEN_B };
mtype:job = { NO_JOB, PREPARE, HOLD, DRAIN, FLUSH, EJECT, EJECT_PORT, ASSIGN, ANSWER,
              REPLAY, TAKE_OWN, TAKE_COMMIT, TAKE_ASSIGN, UNPARK_OWN, UNPARK_COMMIT,
              EJECT_PARKED, PARK_AGAIN, PARK_GATE };
mtype:call = { NO_CALL, OWN, COMMIT, DISK_ASSIGN, REFUSE };
bool is_up[NS];
bool claimed[NS];   /* disk_claim() */
bool has_port_a[NS];/* a port is port A: this service can write the device */
bool has_lock[NS];  /* port_own() of it */
mtype:gate gate[NS];
mtype:job job[NS];
byte job_to[NS];    /* NOBODY: to park */
mtype:call call[NS];/* the peer.assign that runs here, with the claim */
byte call_epoch[NS];
byte call_from[NS]; /* NOBODY: its caller has given up */
bool in_flight[NS]; /* a write passed the gate to port A */

/* Messages. One connection of a caller at a time: an answer on an older one is never
 * read. What a caller gave up may still arrive, at any time. */
mtype:wire = { NO_WIRE, CALLING, HANDLED, YES, NO, ERROR, BROKEN };
mtype:wire wire[NS];
byte late[NS];      /* calls to this service, a bit an epoch */

/* The device, as versions of its content. Each host has a cache of its own. */
byte device, cache[NS], acknowledged, writes;

byte crashes;
bool calm; /* from now on: no crash, nothing is lost or fails, nobody asks for more */

#define BIT(e) (1 << (e))
#ifdef BUG_COMMIT_AFTER_ASSIGN
#define CALL_OF(s) (role[s] == GIVEN -> epoch[s] : epoch[s] + 1)
#else
#define CALL_OF(s) epoch[s]
#endif
#define OTHERS_PORT_A(s) (has_port_a[(s + 1) % NS] || has_port_a[(s + NS - 1) % NS])
#define OTHERS_LOCK(s) (has_lock[(s + 1) % NS] || has_lock[(s + NS - 1) % NS])
#define OTHERS_RECORD(s)                                                               \
    (role[(s + 1) % NS] == OWNER || role[(s + NS - 1) % NS] == OWNER)
#ifdef LOCK
#define CAN_LOCK(s) (!OTHERS_LOCK(s))
#else
#define CAN_LOCK(s) true
#endif

/* migrate/record/record.c: the rename */
inline record_commit(s, r, e)
{
    role[s] = r;
    epoch[s] = e;
    learned[s] = false;
    assert(!(r == OWNER && OTHERS_RECORD(s))) /* never two owners on record */
}

/* disk_ownership.c */
inline swap_in_a(s)
{
    has_port_a[s] = true;
    gate[s] = OPEN_A;
    assert(!OTHERS_PORT_A(s)); /* never two that can write */
    assert(role[s] == OWNER);
    assert(cache[s] == acknowledged) /* no acknowledged write is lost */
}

inline disk_eject(s)
{
    assert(!in_flight[s]);
    has_port_a[s] = false;
    has_lock[s] = false;
    gate[s] = NO_PORT
}

inline job_ends(s)
{
    job[s] = NO_JOB;
    job_to[s] = NOBODY;
    claimed[s] = false
}

/* step_commit.c: step_roll_back() */
inline job_roll_back(s)
{
    if
    :: gate[s] == HELD_A -> gate[s] = OPEN_A
    :: else
    fi;
    job_ends(s)
}

/* takeover_assign.c: is_assigned() */
#define CHECK_ROLE(s, e) (role[s] != OWNER && e > refused[s] && e > epoch[s])
#define IS_ASSIGNED(s, e)                                                              \
    (role[s] != STANDBY && (epoch[s] > e || (epoch[s] == e && role[s] == OWNER)))

inline give_up_call(s)
{
    if
    :: wire[s] == CALLING -> late[job_to[s]] = late[job_to[s]] | BIT(CALL_OF(s))
    :: wire[s] == HANDLED -> call_from[job_to[s]] = NOBODY
    :: else
    fi;
    wire[s] = NO_WIRE
}

/* The owner's side: engine.c, job.c, step_prepare.c, step_commit.c,
 * handoff_unpark.c. */
proctype owner_side(byte s)
{
    byte o;

end:
    do
    /* handoff_run(): attach_or_begin(), refuse_unless_owner() */
    :: atomic {
           is_up[s] && !calm && job[s] == NO_JOB && !claimed[s] && role[s] == OWNER &&
           gate[s] == OPEN_A && epoch[s] + 2 <= MAX_EPOCH ->
           claimed[s] = true;
           if
           :: job_to[s] = (s + 1) % NS; job[s] = PREPARE
#if NS > 2
           :: job_to[s] = (s + 2) % NS; job[s] = PREPARE
#endif
#ifdef PARK
           :: job_to[s] = NOBODY; job[s] = HOLD
#endif
           fi
       }
    /* step_prepare(): peer.prepare changes nothing that lasts */
    :: atomic {
           job[s] == PREPARE ->
           o = job_to[s];
           if
           :: is_up[o] && !claimed[o] && CHECK_ROLE(o, epoch[s] + 1) ->
              job[s] = (role[s] == PARKED -> EJECT_PARKED : HOLD)
           :: !calm || !is_up[o] || claimed[o] || !CHECK_ROLE(o, epoch[s] + 1) ->
              job_roll_back(s)
           fi;
           o = 0
       }
    /* step_hold(): redir_hold() */
    :: atomic { job[s] == HOLD -> gate[s] = HELD_A; job[s] = DRAIN }
    /* step_drain(): redir_drain() */
#ifdef BUG_NO_DRAIN
    :: atomic { job[s] == DRAIN -> job[s] = FLUSH }
#else
    :: atomic { job[s] == DRAIN && !in_flight[s] -> job[s] = FLUSH }
#endif
    /* a deadline or an abort, before the commit */
    :: atomic {
           !calm && (job[s] == HOLD || job[s] == DRAIN || job[s] == FLUSH ||
                     job[s] == EJECT) ->
           job_roll_back(s)
       }
    /* step_flush() */
    :: atomic {
           job[s] == FLUSH ->
#ifndef BUG_NO_FLUSH
           device = cache[s];
#endif
           job[s] = EJECT
       }
    /* step_eject(): record_commit() is the commit; where it fails the job rolls back */
    :: atomic {
           job[s] == EJECT ->
#ifdef BUG_COMMIT_AFTER_ASSIGN
           has_lock[s] = false;
           job[s] = (job_to[s] == NOBODY -> EJECT_PORT : ASSIGN)
#else
           peer[s] = job_to[s];
           if
           :: job_to[s] == NOBODY ->
              record_commit(s, PARKED, epoch[s] + 1);
              was_parked[s] = true
           :: else ->
              record_commit(s, GIVEN, epoch[s] + 1);
              was_parked[s] = false
           fi;
           job[s] = EJECT_PORT
#endif
       }
    /* step_eject(): disk_eject() */
    :: atomic {
           job[s] == EJECT_PORT ->
           disk_eject(s);
           if
           :: job_to[s] == NOBODY -> job_ends(s)
           :: else -> job[s] = ASSIGN
           fi
       }
    /* step_assign(): job_call() */
    :: atomic { job[s] == ASSIGN -> wire[s] = CALLING; job[s] = ANSWER }
    /* the call timed out, or its connection broke on the way there */
    :: atomic {
           !calm && job[s] == ANSWER && (wire[s] == CALLING || wire[s] == HANDLED) ->
           give_up_call(s);
           job[s] = ASSIGN
       }
    /* step_assign(): no answer, or an error: asks again */
    :: atomic {
           job[s] == ANSWER && (wire[s] == ERROR || wire[s] == BROKEN) ->
#ifdef BUG_ERROR_IS_REFUSAL
           job[s] = (wire[s] == ERROR -> (was_parked[s] -> PARK_AGAIN : TAKE_OWN) : ASSIGN);
#else
           job[s] = ASSIGN;
#endif
           wire[s] = NO_WIRE
       }
    /* read_answer() */
    :: atomic {
           job[s] == ANSWER && wire[s] == YES ->
           wire[s] = NO_WIRE;
#ifdef BUG_COMMIT_AFTER_ASSIGN
           if
           :: role[s] == OWNER ->
              peer[s] = job_to[s];
              record_commit(s, GIVEN, epoch[s] + 1);
              disk_eject(s)
           :: else
           fi;
#endif
           job[s] = REPLAY
       }
    :: atomic {
           job[s] == ANSWER && wire[s] == NO ->
           wire[s] = NO_WIRE;
#ifdef BUG_COMMIT_AFTER_ASSIGN
           if
           :: role[s] == OWNER -> has_lock[s] = true; job_roll_back(s)
           :: else -> job[s] = TAKE_OWN
           fi
#else
           job[s] = (was_parked[s] -> PARK_AGAIN : TAKE_OWN)
#endif
       }
    /* step_replay(): disk_follow(); a resumed job has followed at the start */
    :: atomic { job[s] == REPLAY -> gate[s] = OPEN_B; job_ends(s) }
    /* step_take_back(): reopen_all(), port_own(); tries again when it fails */
    :: atomic { job[s] == TAKE_OWN && CAN_LOCK(s) -> has_lock[s] = true; job[s] = TAKE_COMMIT }
    /* step_take_back(): record_commit() */
    :: atomic {
           job[s] == TAKE_COMMIT ->
           record_commit(s, OWNER, epoch[s] + 1);
           job[s] = TAKE_ASSIGN
       }
    /* step_take_back(), handoff_unpark(): disk_assign() */
    :: atomic { job[s] == TAKE_ASSIGN -> swap_in_a(s); job_ends(s) }
#ifdef PARK
    /* handoff_unpark(): claim_parked(), own_parked() */
    :: atomic {
           is_up[s] && !calm && job[s] == NO_JOB && !claimed[s] && role[s] == PARKED &&
           epoch[s] + 1 <= MAX_EPOCH ->
           claimed[s] = true;
           job[s] = UNPARK_OWN
       }
    :: atomic { job[s] == UNPARK_OWN && CAN_LOCK(s) -> has_lock[s] = true; job[s] = UNPARK_COMMIT }
    :: atomic {
           job[s] == UNPARK_COMMIT ->
           if
           :: record_commit(s, OWNER, epoch[s] + 1); job[s] = TAKE_ASSIGN
           :: !calm -> has_lock[s] = false; job_ends(s)
           fi
       }
    /* attach_or_begin() of what is parked: is_handoff_of_parked() */
    :: atomic {
           is_up[s] && !calm && job[s] == NO_JOB && !claimed[s] && role[s] == PARKED &&
           epoch[s] + 2 <= MAX_EPOCH ->
           claimed[s] = true;
           job[s] = PREPARE;
           if
           :: job_to[s] = (s + 1) % NS
#if NS > 2
           :: job_to[s] = (s + 2) % NS
#endif
           fi
       }
    :: atomic { !calm && job[s] == EJECT_PARKED -> job_roll_back(s) }
    /* step_eject(): the commit; there is no port to take out */
    :: atomic {
           job[s] == EJECT_PARKED ->
           peer[s] = job_to[s];
           record_commit(s, GIVEN, epoch[s] + 1);
           job[s] = ASSIGN
       }
    /* job_park_again(): record_commit(), then disk_park_again() */
    :: atomic {
           job[s] == PARK_AGAIN ->
           record_commit(s, PARKED, epoch[s] + 1);
           job[s] = PARK_GATE
       }
    :: atomic { job[s] == PARK_GATE -> gate[s] = NO_PORT; job_ends(s) }
#endif
    od
}

/* The answer leaves, or is lost on its way. */
inline answer(s, from, what)
{
    if
    :: from == NOBODY
    :: from != NOBODY -> wire[from] = what
    :: from != NOBODY && !calm -> wire[from] = BROKEN
    fi
}

inline answer_and_unclaim(s, what)
{
    answer(s, call_from[s], what);
    call[s] = NO_CALL;
    call_epoch[s] = 0;
    call_from[s] = NOBODY;
    claimed[s] = false
}

/* takeover_assign() up to the claim. With the claim taken it answers at once, on a thread
 * of its own, so a second call never waits for the first. */
inline peer_assign(s, from, e)
{
    if
#ifdef BUG_ASKED_WITH_CLAIM
    :: IS_ASSIGNED(s, e) && !claimed[s] -> answer(s, from, YES)
    :: IS_ASSIGNED(s, e) && claimed[s] -> answer(s, from, ERROR)
#else
    :: IS_ASSIGNED(s, e) -> answer(s, from, YES)
#endif
    :: !IS_ASSIGNED(s, e) && claimed[s] -> answer(s, from, ERROR)
    :: !IS_ASSIGNED(s, e) && !claimed[s] ->
       claimed[s] = true;
       call[s] = OWN;
       call_epoch[s] = e;
       call_from[s] = from;
       if
       :: from != NOBODY -> wire[from] = HANDLED
       :: else
       fi
    fi
}

/* The next owner's side: takeover_prepare.c, takeover_assign.c. Calls arrive. */
proctype control(byte s)
{
    byte i, e;

end:
    do
    :: atomic {
           is_up[s] && wire[(s + 1) % NS] == CALLING && job_to[(s + 1) % NS] == s ->
           i = (s + 1) % NS;
           e = CALL_OF(i);
           peer_assign(s, i, e);
           i = 0;
           e = 0
       }
#if NS > 2
    :: atomic {
           is_up[s] && wire[(s + 2) % NS] == CALLING && job_to[(s + 2) % NS] == s ->
           i = (s + 2) % NS;
           e = CALL_OF(i);
           peer_assign(s, i, e);
           i = 0;
           e = 0
       }
#endif
    :: atomic {
           is_up[s] && late[s] != 0 ->
           i = 1;
           do
           :: late[s] & BIT(i) -> break
           :: late[s] >> (i + 1) != 0 -> i++
           od;
           late[s] = late[s] & ~BIT(i);
           peer_assign(s, NOBODY, i);
           i = 0
       }
    od
}

/* assign_or_refuse() */
proctype next_owner(byte s)
{
end:
    do
    /* own_all(): check_role(), take_device(), port_own() */
    :: atomic {
           call[s] == OWN ->
           if
           :: CHECK_ROLE(s, call_epoch[s]) && CAN_LOCK(s) ->
              has_lock[s] = true;
              cache[s] = device; /* port_file_trust_cache(): another host owned it */
              call[s] = COMMIT
           :: !CHECK_ROLE(s, call_epoch[s]) || !CAN_LOCK(s) || !calm -> call[s] = REFUSE
           fi
       }
    /* own_all(): record_commit() */
    :: atomic {
           call[s] == COMMIT ->
           if
           :: record_commit(s, OWNER, call_epoch[s]);
              peer[s] = NOBODY;
              call[s] = DISK_ASSIGN
           :: !calm -> has_lock[s] = false; call[s] = REFUSE
           fi
       }
    :: atomic { call[s] == DISK_ASSIGN -> swap_in_a(s); answer_and_unclaim(s, YES) }
    /* refuse_for_good(); an error where the promise cannot be made to last */
    :: atomic {
           call[s] == REFUSE ->
           if
           :: refused[s] = (call_epoch[s] > refused[s] -> call_epoch[s] : refused[s]);
              answer_and_unclaim(s, NO)
           :: !calm -> answer_and_unclaim(s, ERROR)
           fi
       }
    od
}

/* Writes of a VM at s while s owns the disk: redirector.c, submit_open(). */
proctype vm(byte s)
{
end:
    do
    :: atomic {
           gate[s] == OPEN_A && !in_flight[s] && writes < MAX_WRITES ->
           in_flight[s] = true
       }
    :: atomic {
           in_flight[s] ->
           assert(has_port_a[s]);
           in_flight[s] = false;
           if
           :: writes < MAX_WRITES ->
              writes++;
              cache[s] = writes;
              acknowledged = writes
           :: else
           fi
       }
    od
}

/* The process ends; the lock goes with it. The page cache stays. */
inline crash(s)
{
    give_up_call(s);
    if
    :: call[s] != NO_CALL && call_from[s] != NOBODY -> wire[call_from[s]] = BROKEN
    :: else
    fi;
    is_up[s] = false;
    claimed[s] = false;
    has_port_a[s] = false;
    has_lock[s] = false;
    gate[s] = NO_PORT;
    job[s] = NO_JOB;
    job_to[s] = NOBODY;
    call[s] = NO_CALL;
    call_epoch[s] = 0;
    call_from[s] = NOBODY;
    in_flight[s] = false;
#ifdef BUG_REFUSAL_NOT_DURABLE
    refused[s] = 0;
#endif
    crashes++
}

/* service_new(): disk_start(), handoff_resume() */
proctype supervisor(byte s)
{
end:
    do
    :: atomic {
           !is_up[s] && (role[s] != OWNER || CAN_LOCK(s)) ->
           is_up[s] = true;
           if
           :: role[s] == OWNER -> has_lock[s] = true; swap_in_a(s) /* start_owner() */
           :: role[s] == GIVEN ->                                  /* start_given() */
              gate[s] = OPEN_B;
#ifndef BUG_NO_RESUME
              if
              :: learned[s]
              :: else -> claimed[s] = true; job_to[s] = peer[s]; job[s] = ASSIGN
              fi
#endif
           :: role[s] == PARKED || role[s] == STANDBY
           fi
       }
    od
}

/* A client of s's owner, who took the disk back at a later epoch: follow_write_down() */
#define OWNS_LATER(o, s) (is_up[o] && role[o] == OWNER && epoch[o] > epoch[s])
proctype follower(byte s)
{
end:
    do
    :: atomic {
           is_up[s] && role[s] == GIVEN && gate[s] == OPEN_B && !claimed[s] &&
           OWNS_LATER(peer[s], s) ->
           epoch[s] = epoch[peer[s]];
           learned[s] = true
       }
    od
}

proctype world()
{
    byte s;

    do
    :: atomic {
           !calm && crashes < MAX_CRASHES ->
           s = 0;
           do
           :: s < NS - 1 -> s++
           :: break
           od;
           if
           :: is_up[s] -> crash(s)
           :: else
           fi;
           s = 0
       }
    :: atomic { !calm -> calm = true; break }
    od
}

/* Does the owner serve the channel of s? session.c: no epoch but its own. */
#define SERVED(s, o) (gate[s] == OPEN_B && peer[s] == o && epoch[s] == epoch[o])
#define CLIENT_IS_WELL(s, o) (role[s] == STANDBY || SERVED(s, o))
#define OWNER_IS_WELL(o) (role[o] == OWNER && gate[o] == OPEN_A && !claimed[o])
#define PARKED_IS_WELL(o) (role[o] == PARKED && !claimed[o])
#if NS == 2
#define CONVERGED                                                                      \
    (is_up[0] && is_up[1] && !claimed[0] && !claimed[1] &&                             \
     ((OWNER_IS_WELL(0) && CLIENT_IS_WELL(1, 0)) ||                                    \
      (OWNER_IS_WELL(1) && CLIENT_IS_WELL(0, 1)) || PARKED_IS_WELL(0) ||               \
      PARKED_IS_WELL(1)))
#else /* whom a client of a moved owner follows is not in this model */
#define CONVERGED                                                                      \
    (is_up[0] && is_up[1] && is_up[2] && !claimed[0] && !claimed[1] && !claimed[2] &&  \
     (OWNER_IS_WELL(0) || OWNER_IS_WELL(1) || OWNER_IS_WELL(2)))
#endif

init
{
    byte s;

    atomic {
        for (s : 0 .. NS - 1) {
            role[s] = STANDBY;
            peer[s] = NOBODY;
            is_up[s] = true;
            gate[s] = NO_PORT;
            job[s] = NO_JOB;
            job_to[s] = NOBODY;
            call[s] = NO_CALL;
            call_from[s] = NOBODY;
            wire[s] = NO_WIRE
        }
        role[0] = OWNER; /* first_record() */
        epoch[0] = 1;
        has_lock[0] = true;
        has_port_a[0] = true;
        gate[0] = OPEN_A;
        for (s : 0 .. NS - 1) {
            run owner_side(s);
            run control(s);
            run next_owner(s);
            run vm(s);
            run supervisor(s);
            run follower(s)
        }
        s = 0;
        run world()
    };
    /* Nobody can do anything any more, so it is calm: no stuck state. */
    timeout;
    assert(CONVERGED)
}

/* Nor does anybody go round in circles once it is calm (with weak fairness). */
ltl converges { [] (calm -> <> [] CONVERGED) }
