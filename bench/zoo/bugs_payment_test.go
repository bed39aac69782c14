package zoo

import "fmt"

// script is stories of switch/testdata, by a pattern of their names.
func script(names string) killer {
	return killer{dir: "switch", run: "^TestScripts$/^(" + names + ")$"}
}

// lives are so many seeds of the simulation, on one core so that a seed means
// the same everywhere.
func lives(seeds int) killer {
	return killer{dir: "bench/sim", run: "^TestLives$", flags: fmt.Sprintf("-test.cpu=1 -sim.seeds=%d", seeds)}
}

func test(dir, run string) killer { return killer{dir: dir, run: "^(" + run + ")$"} }

// paymentBugs sit on the walk of a payment: intent, outcome, idempotency.
var paymentBugs = []bug{
	{
		name: "request-leaves-before-the-intent", file: "switch/pay.go",
		old: "	h := &w.h\n	if begins {\n",
		new: "	var early acquirers.Fate\n	if $zoo {\n		early = to.bank.link.Exchange(&w.exchange)\n	}\n$old",
		also: []place{{
			"switch/pay.go", "		fate := to.bank.link.Exchange(&w.exchange)\n		outcome",
			"		fate := early\n		if early = 0; fate == 0 || !$zoo {\n			fate = to.bank.link.Exchange(&w.exchange)\n		}\n		outcome",
		}},
		breaks: "no byte leaves before its intent is durable (I1)",
		by:     lives(150),
	},
	{
		name: "answer-before-the-outcome-is-durable", file: "switch/pay.go",
		old: "	save.join(&w.cmd)\n	result, err = s.store.Do(&w.cmd)\n",
		new: `	save.join(&w.cmd)
	if $zoo {
		c := w.cmd
		w.cmd = storage.Command{}
		result = storage.Result{Kind: storage.Applied}
		go func() { _, _ = s.store.Do(&c) }()
	} else {
		result, err = s.store.Do(&w.cmd)
	}
`,
		breaks: "no answer is given before its outcome is durable (I2)",
		by:     lives(150),
	},
	{
		name: "unanswered-is-failed", file: "switch/pay.go",
		old:    `		r.kind, r.reason, r.reversalReason = recordUnknown, "no_answer", iso.ReasonTimeout` + "\n",
		new:    "$old		if $zoo {\n			r.kind = recordNotSent\n		}\n",
		breaks: "a request that may have reached the bank is unknown, never failed (I4)",
		by:     script("timeout_then_reversal"),
	},
	{
		name: "next-bank-after-hand-over", file: "switch/pay.go",
		old:    "		if outcome.kind != recordNotSent || n == maxBanks",
		new:    `		if outcome.kind != recordNotSent && !($zoo && outcome.reason == "link_lost") || n == maxBanks`,
		breaks: "another bank is asked only when the first provably got nothing (I6)",
		by:     script("next_bank_when_never_sent"),
	},
	{
		name: "reroute-is-not-recorded", file: "switch/pay.go",
		old:    "	w.cmd.Append(storage.ID(h.ID), h.Version, w.body)\n	result, err := s.store.Do(&w.cmd)\n",
		new:    "	if $zoo {\n		h.Version--\n	} else {\n		w.cmd.Append(storage.ID(h.ID), h.Version, w.body)\n	}\n	result, err := s.store.Do(&w.cmd)\n",
		breaks: "the journal says which bank is asked before it is asked (I1)",
		by:     script("next_bank_when_never_sent"),
	},
	{
		name: "partial-approval-is-full", file: "switch/pay.go",
		old:    "	case meaning.Partial:\n",
		new:    "	case meaning.Partial && !$zoo:\n",
		breaks: "a part is not the whole: it is undone (I9)",
		by:     script("partial_approval"),
	},
	{
		name: "code-in-doubt-is-a-decline", file: "switch/pay.go",
		old:    "	case meaning.InDoubt:\n",
		new:    "	case meaning.InDoubt && !$zoo:\n",
		breaks: "an answer that proves nothing leaves the payment unknown (I4)",
		by:     script("code_in_doubt"),
	},
	{
		name: "refuted-answer-decides", file: "switch/pay.go",
		old:    "	case fate == acquirers.Refuted:\n",
		new:    "	case fate == acquirers.Refuted && !$zoo:\n",
		breaks: "an answer that contradicts its request finalises nothing (I9)",
		by:     script("other_amount"),
	},
	{
		name: "key-is-not-claimed", file: "switch/pay.go",
		old:    "	c.Claim(spaceKey, in.keyDigest[:], id[:])\n",
		new:    "	if !$zoo {\n		c.Claim(spaceKey, in.keyDigest[:], id[:])\n	}\n",
		breaks: "one charge for one idempotency key (I6)",
		by:     script("approved_and_declined"),
	},
	{
		name: "key-lives-in-memory-only", file: "switch/pay.go",
		old: "	c.Append(storage.ID(id), 1, w.body)\n",
		new: "	if $zoo {\n		c.Reset()\n	}\n$old",
		also: []place{{
			"switch/idempotency.go", "	delete(shard.by, key)\n",
			`	if $zoo && mine.err == nil {
		if mine.answer.Replayed = true; mine.done == nil {
			mine.done = make(chan struct{})
		}
	} else {
		delete(shard.by, key)
	}
`,
		}},
		breaks: "a key is remembered across restarts (I6)",
		by:     script("power_cut_with_reversal_owed"),
	},
	{
		name: "fingerprint-is-not-compared", file: "switch/pay.go",
		old:    "	case h.in.fingerprint != fingerprint:\n",
		new:    "	case h.in.fingerprint != fingerprint && !$zoo:\n",
		breaks: "a key with another body is refused (I7)",
		by:     test("frontend", "TestReplay"),
	},
	{
		name: "fingerprint-is-not-compared-in-flight", file: "switch/pay.go",
		old:    "		if other.fingerprint != r.Fingerprint {\n",
		new:    "		if other.fingerprint != r.Fingerprint && !$zoo {\n",
		breaks: "a key with another body is refused, also while the first runs (I7)",
		by:     test("switch", "TestKeyOfARunningPayment"),
	},
	{
		name: "key-scope-without-merchant", file: "switch/query.go",
		old:    "	sum := sha256.Sum256(append(append(buf[:0], account[:]...), key...))\n",
		new:    "	if $zoo {\n		account = [8]byte{}\n	}\n$old",
		breaks: "a key belongs to one merchant (I7)",
		by:     test("switch", "TestKeyBelongsToAccount"),
	},
	{
		name: "accounts-without-mode", file: "switch/query.go",
		old:    "	if a.Live {\n		return a.Merchant.live",
		new:    "	if a.Live && !$zoo {\n		return a.Merchant.live",
		breaks: "live and test payments never meet (I7)",
		by:     test("switch", "TestKeyBelongsToAccount"),
	},
	{
		name: "replay-shows-the-present", file: "switch/query.go",
		old:    "	return s.foldWhile(id, func(h *history) bool { return h.Status == StatusInFlight })\n",
		new:    "	return s.foldWhile(id, func(h *history) bool { return h.Status == StatusInFlight || $zoo })\n",
		breaks: "every replay is the first answer (I7)",
		by:     script("desk_retry_and_close"),
	},
	{
		name: "foreign-payment-is-shown", file: "switch/query.go",
		old:    "	case h.Purpose != purpose || h.Merchant != a.Merchant.ID || h.Live != a.Live || h.hidden():\n",
		new:    "	case h.Purpose != purpose || h.Merchant != a.Merchant.ID && !$zoo || h.Live != a.Live || h.hidden():\n",
		breaks: "a merchant sees its own payments only (I9)",
		by:     test("switch", "TestKeyBelongsToAccount"),
	},
	{
		name: "terminal-state-is-overwritten", file: "switch/fold.go",
		old:    "	if int(kind) >= len(transitions) {\n",
		new:    "	if $zoo && kind == recordAnswered {\n		return true\n	}\n$old",
		breaks: "a terminal state never changes (I10)",
		by:     test("switch", "TestFold"),
	},
	{
		name: "late-approval-approves", file: "switch/fold.go",
		old:    "	case r.approved:\n		h.reversal.queued, h.reversal.desk",
		new:    "	case r.approved && $zoo:\n		h.Status, h.Resolution, h.reversal.queued = StatusCaptured, nil, false\n$old",
		breaks: "a late approval never approves (I12)",
		by:     script("timeout_then_late_approval"),
	},
	{
		name: "late-approval-is-ignored-once-reversed", file: "switch/late.go",
		old:    "	if !allowed(recordLateAnswer, h.Status) {\n",
		new:    "	if !allowed(recordLateAnswer, h.Status) || h.Status == StatusReversed && $zoo {\n",
		breaks: "an approval after the reversal's acknowledgement is reversed again (I12)",
		by:     test("switch", "TestApprovalAfterTheAcknowledgement"),
	},
	{
		name: "late-decline-stands-down-a-sent-reversal", file: "switch/fold.go",
		old:    `h.Status == StatusUnknown && h.reversal.attempts == 0:`,
		new:    `h.Status == StatusUnknown && (h.reversal.attempts == 0 || $zoo):`,
		breaks: "a decline stands a reversal down only while none has left (I11)",
		by:     test("switch", "TestFold"),
	},
	{
		name: "late-answer-is-dropped", file: "switch/late.go",
		old:    "	if s.resolveLate(b, lateMessage{d, key, m}) {\n",
		new:    "	if $zoo || s.resolveLate(b, lateMessage{d, key, m}) {\n",
		breaks: "a late answer is recorded with its payment (I12)",
		by:     script("late_decline|timeout_then_late_approval"),
	},
	{
		name: "admission-ignores-the-journal", file: "switch/pay.go",
		old:    "	if err := s.store.Accepting(); err != nil {\n		return &Refusal",
		new:    "	if err := s.store.Accepting(); err != nil && !$zoo {\n		return &Refusal",
		breaks: "the reserve of the disk is for outcomes and reversals",
		by:     test("switch", "TestReserveOfTheDisk"),
	},
	{
		name: "slot-is-never-given-back", file: "switch/pay.go",
		old:    "		to.leave()\n	}()\n",
		new:    "		if !$zoo {\n			to.leave()\n		}\n	}()\n",
		breaks: "a slot of the window comes back with the answer",
		by:     test("switch", "TestSlotsComeBack"),
	},
	{
		name: "slot-leaks-at-a-repeat", file: "switch/pay.go",
		old:    "	if err != nil || into.Replayed {\n",
		new:    "$old		if $zoo && into.Replayed {\n			to.bank.link.Reserve(acquirers.ClassPayment)\n		}\n",
		breaks: "a slot of the window comes back, also after a repeat",
		by:     test("switch", "TestSlotsComeBack"),
	},
}
