package zoo

// reversalBugs sit in store-and-forward, its decisions and the desk.
var reversalBugs = []bug{
	{
		name: "approved-payment-is-reversed", file: "switch/fold.go",
		old: "		h.Status, h.AmountAuthorized, h.AmountCaptured = StatusCaptured, h.approved, h.approved\n	}\n}\n\nfunc (h *history) reversalAnswered",
		new: "		h.Status, h.AmountAuthorized, h.AmountCaptured = StatusCaptured, h.approved, h.approved\n		h.reversal.queued = $zoo\n	}\n}\n\nfunc (h *history) reversalAnswered",
		also: []place{{
			"switch/fold.go", "	for _, s := range transitions[kind] {\n",
			"	if $zoo && kind == recordReversalSent {\n		return true\n	}\n$old",
		}},
		breaks: "approved is for ever (I3)",
		by:     script("approved_and_declined"),
	},
	{
		name: "reversal-with-another-amount", file: "switch/story.go",
		old:    "	v.SentAt = u.reversalSentAt\n",
		new:    "$old	if $zoo {\n		v.Amount++\n	}\n",
		breaks: "a reversal carries the original amount (I11)",
		by:     lives(60),
	},
	{
		name: "reversal-names-another-original", file: "switch/story.go",
		old:    "	if u.reversalSTAN != 0 && d.Behaviour().ReversalNewSTAN {\n",
		new:    "	if $zoo {\n		v.Original.STAN++\n	}\n$old",
		breaks: "a reversal names its original in field 90 (I11)",
		by:     lives(60),
	},
	{
		name: "reversal-with-another-card", file: "switch/saf.go",
		old:    "	w.values.PAN = pan\n",
		new:    "$old	if $zoo {\n		w.values.PAN = standIn\n	}\n",
		breaks: "a reversal carries the original card (I11)",
		by:     lives(60),
	},
	{
		name: "repeat-is-not-marked", file: "switch/saf.go",
		old:    "	if r.attempt > 1 {\n",
		new:    "	if r.attempt > 1 && !$zoo {\n",
		breaks: "a repeat is sent as a repeat (I11)",
		by:     lives(100),
	},
	{
		name: "repeat-with-a-new-trace-number", file: "switch/story.go",
		old:    "	v.Reason = u.reversalReason\n",
		new:    "$old	if $zoo {\n		v.STAN += iso.STAN(h.reversal.attempts)\n	}\n",
		breaks: "a repeat keeps its trace number (I11)",
		by:     lives(100),
	},
	{
		name: "attempt-is-not-journaled", file: "switch/saf.go",
		old:    "	if !s.append(h, &r) {\n		b.saf.again(id, s.o.Now().Add(unreadable))\n		return 0, false\n	}\n	if r.kind == recordDesk {",
		new:    "	if !($zoo && r.kind == recordReversalSent) && !s.append(h, &r) {\n		b.saf.again(id, s.o.Now().Add(unreadable))\n		return 0, false\n	}\n	if r.kind == recordDesk {",
		breaks: "an attempt is durable before it leaves (I1)",
		by:     script("timeout_then_reversal"),
	},
	{
		name: "attempt-is-not-awaited", file: "switch/saf.go",
		old:    "	result, err := s.store.Do(c)\n",
		new:    "	if $zoo && r.kind == recordReversalSent {\n		late := *c\n		w.cmd, w.body = storage.Command{}, nil\n		go func() { _, _ = s.store.Do(&late) }()\n		return true\n	}\n$old",
		breaks: "an attempt is durable before it leaves (I1)",
		by:     test("switch", "TestAttemptIsDurableFirst"),
	},
	{
		name: "reversal-entry-is-not-written", file: "switch/decide.go",
		old:    "	move(spaceReversal, before.owed, after.owed)\n",
		new:    "	move(spaceReversal, before.owed, after.owed && !$zoo)\n",
		breaks: "what is owed is found after a restart (I19)",
		by:     script("power_cut_with_reversal_owed"),
	},
	{
		name: "desk-drops-the-entry", file: "switch/decide.go",
		old:    "	move(spaceDesk, before.desk, after.desk)\n",
		new:    "	move(spaceDesk, before.desk, after.desk && !$zoo)\n",
		breaks: "nothing is dropped: the desk keeps it",
		by:     script("reversal_refused"),
	},
	{
		name: "every-code-acknowledges-a-reversal", file: "switch/saf.go",
		old:    "			r.verdict = d.ReversalAnswer(r.responseCode)\n",
		new:    "$old			if $zoo {\n				r.verdict = iso.ReversalDone\n			}\n",
		breaks: "a reversal is repeated until it is acknowledged (I11)",
		by:     script("reversal_refused"),
	},
	{
		name: "refused-reversal-is-tried-for-ever", file: "switch/decide.go",
		old:    "	if r.verdict == iso.ReversalManual {\n",
		new:    "	if r.verdict == iso.ReversalManual && !$zoo {\n",
		breaks: "what the bank refuses for good goes to the desk",
		by:     script("reversal_refused"),
	},
	{
		name: "schedule-has-no-end", file: "switch/decide.go",
		old:    "	case saf.Expiry > 0 && now.Sub(h.reversal.since) > saf.Expiry:\n",
		new:    "	case saf.Expiry > 0 && now.Sub(h.reversal.since) > saf.Expiry && !$zoo:\n",
		breaks: "at the end of its schedule a reversal goes to the desk",
		by:     test("switch", "TestMachine"),
	},
	{
		name: "attempts-have-no-end", file: "switch/decide.go",
		old:    "	case saf.MaxAttempts > 0 && int(attempts) >= saf.MaxAttempts:\n",
		new:    "	case saf.MaxAttempts > 0 && int(attempts) >= saf.MaxAttempts && !$zoo:\n",
		breaks: "at the end of its schedule a reversal goes to the desk",
		by:     test("switch", "TestMachine"),
	},
	{
		name: "two-reversals-at-once", file: "switch/saf.go",
		old:    "	if _, ok := q.present[id]; !ok {\n",
		new:    "	if _, ok := q.present[id]; !ok || $zoo {\n",
		breaks: "reversals of one payment go one after the other",
		by:     test("switch", "TestReversalQueue"),
	},
	{
		name: "late-acknowledgement-frees-a-running-reversal", file: "switch/late.go",
		old:    "	if verdict != iso.ReversalDone || b.saf.sending(id) {\n",
		new:    "	if verdict != iso.ReversalDone || b.saf.sending(id) && !$zoo {\n",
		breaks: "reversals of one payment go one after the other",
		by:     test("switch", "TestAcknowledgementDuringARepeat"),
	},
	{
		name: "late-acknowledgement-is-any-code", file: "switch/late.go",
		old:    "	verdict := d.ReversalAnswer(rc)\n",
		new:    "$old	if $zoo {\n		verdict = iso.ReversalDone\n	}\n",
		breaks: "only an acknowledgement ends a reversal (I11)",
		by:     test("switch", "TestLateReversalAnswer"),
	},
	{
		name: "reversals-ignore-readiness", file: "switch/saf.go",
		old: "		if b.link.Ready() != nil {\n",
		new: "		if b.link.Ready() != nil && !$zoo {\n",
		also: []place{{"acquirers/version.go", "	return b.Speak()\n}\n",
			"	if v := b.current.Load(); $zoo {\n		v.held.Add(1)\n		return v\n	}\n	return b.Speak()\n}\n"}},
		breaks: "reversals pause while the bank is away: an attempt that cannot leave is none",
		by:     test("switch", "TestReversalsWaitForTheBank"),
	},
	{
		name: "operator-settles-what-is-not-on-the-desk", file: "switch/control.go",
		old:    `	if h.reversal.desk == "" || b == nil {`,
		new:    `	if h.reversal.desk == "" && !$zoo || b == nil {`,
		breaks: "an operator settles only what stands on the desk (I10)",
		by:     script("desk_retry_and_close"),
	},
}

// recoveryBugs sit in the start of the switch.
var recoveryBugs = []bug{
	{
		name: "reversals-are-forgotten-at-restart", file: "switch/recovery.go",
		old:    "	if err := each(owed, s.recoverReversal); err != nil {\n",
		new:    "	if $zoo {\n		owed = nil\n	}\n$old",
		breaks: "what is owed is sent in the next life (I19)",
		by:     script("power_cut_with_reversal_owed"),
	},
	{
		name: "open-intents-are-skipped", file: "switch/recovery.go",
		old:    `	if err := each(open, func(id ID) error { return s.recoverIntent(id, "restart") }); err != nil {` + "\n",
		new:    "	if $zoo {\n		open = nil\n	}\n$old",
		breaks: "every intent gets an outcome (I19)",
		by:     lives(100),
	},
	{
		name: "floor-passes-payments-in-flight", file: "switch/floor.go",
		old:    "	low := s.flights.lowest(s.ids.next(now))\n",
		new:    "	low := s.ids.next(now)\n	if !$zoo {\n		low = s.flights.lowest(low)\n	}\n",
		breaks: "every intent gets an outcome (I19)",
		by:     lives(100),
	},
	{
		name: "recovery-says-failed", file: "switch/recovery.go",
		old:    "	if err := s.oweReversal(b, h, &r); err != nil {\n",
		new:    "	if $zoo {\n		r.kind = recordNotSent\n	}\n$old",
		breaks: "an open intent was perhaps sent: it is unknown, never failed (I4)",
		by:     lives(200),
	},
	{
		name: "recovery-says-approved", file: "switch/recovery.go",
		old:    "	if !s.append(h, &r) {\n		return fmt.Errorf(\"payment %s: its recovery",
		new:    "	if $zoo {\n		r.kind, r.approved, r.responseCode = recordAnswered, true, \"00\"\n	}\n$old",
		breaks: "an outcome is never guessed (I4)",
		by:     lives(100),
	},
	{
		name: "recovery-sends-again", file: "switch/recovery.go",
		old: "	if h.Status != StatusInFlight {\n		return nil\n	}\n",
		new: `$old	if $zoo {
		go func() {
			w := newWork()
			pan, _ := s.keys.open(h.in.sealedPAN, id)
			h.in.fillValues(&w.values)
			w.values.PAN, w.exchange.Request = pan, &w.request
			again := s.banks[h.Bank]
			for again.link.Ready() != nil {
				if ready := again.link.Watch(); !wait(s.ctx, ready, 0) {
					return
				}
			}
			if again.dialect().Build(h.in.operation, &w.values, &w.request) == nil && again.link.Reserve(acquirers.ClassReversal) {
				again.link.Exchange(&w.exchange)
				again.link.Release(acquirers.ClassReversal)
			}
		}()
	}
`,
		also: []place{{
			"switch/recovery.go", `	"github.com/tranzit/tranzit/iso"` + "\n",
			`	"github.com/tranzit/tranzit/acquirers"` + "\n$old" + "// $zoo\n",
		}},
		breaks: "recovery resolves, it never pays again (I13)",
		by:     test("switch", "TestRecoveryPaysNothing"),
	},
	{
		name: "late-answers-are-unknown-after-restart", file: "switch/recovery.go",
		old:    "	if err := d.Build(h.in.operation, &v, &m); err == nil {\n",
		new:    "	if err := d.Build(h.in.operation, &v, &m); err == nil && !$zoo {\n",
		breaks: "a late answer finds its payment, also after a restart (I12)",
		by:     test("switch", "TestLateAnswerAfterRestart"),
	},
	{
		name: "controls-are-forgotten-at-restart", file: "switch/recovery.go",
		old:    "	if err := s.loadControls(); err != nil {\n",
		new:    "	if err := error(nil); $zoo {\n	} else if err = s.loadControls(); err != nil {\n",
		breaks: "what an operator decided outlives the process",
		by:     script("bank_drained"),
	},
}

// routeBugs sit in the choice of a bank.
var routeBugs = []bug{
	{
		name: "drained-bank-gets-payments", file: "switch/route.go",
		old:    "	case b.drained.Load():\n",
		new:    "	case b.drained.Load() && !$zoo:\n",
		breaks: "a drained bank gets no new payments",
		by:     script("bank_drained"),
	},
	{
		name: "pin-is-ignored", file: "switch/route.go",
		old:    `	if only == "" {`,
		new:    `	if only == "" && !$zoo {`,
		breaks: "a pinned merchant's payments go to its bank",
		by:     test("switch", "TestPin"),
	},
	{
		name: "live-goes-to-a-test-bank", file: "switch/route.go",
		old:    "way == nil || way.bank.live != a.Live:",
		new:    "way == nil || way.bank.live != a.Live && !$zoo:",
		breaks: "live payments go to live banks only",
		by:     test("switch", "TestLiveNeedsALiveBank"),
	},
	{
		name: "unready-bank-is-asked", file: "switch/route.go",
		old: "	case b.link.Ready() != nil:\n",
		new: "	case b.link.Ready() != nil && !$zoo:\n",
		also: []place{{"acquirers/version.go", "		if most == math.MaxInt64 {\n			return nil\n",
			"		if most == math.MaxInt64 {\n			if $zoo {\n				v := b.current.Load()\n				v.held.Add(1)\n				return v\n			}\n			return nil\n"}},
		breaks: "a bank without a line is refused before anything is recorded",
		by:     script("bank_down"),
	},
	{
		name: "silent-bank-is-not-spared", file: "switch/health.go",
		old:    "	if float64(sum.silent) >= failingShare*float64(total) {\n",
		new:    "	if float64(sum.silent) >= failingShare*float64(total) && !$zoo {\n",
		breaks: "a bank that does not answer gets probes only",
		by:     script("silent_bank_is_spared"),
	},
	{
		name: "every-payment-is-a-probe", file: "switch/health.go",
		old:    "	if h.probing || h.now().Before(h.until) {\n",
		new:    "	if (h.probing || h.now().Before(h.until)) && !$zoo {\n",
		breaks: "a failing bank gets one probe at a time",
		by:     script("silent_bank_is_spared"),
	},
	{
		name: "currency-is-ignored", file: "iso/profile_fit.go",
		old:    "	case c.currencies != nil && !hasBit(c.currencies, int(a.Currency.at)):\n",
		new:    "	case c.currencies != nil && !hasBit(c.currencies, int(a.Currency.at)) && !$zoo:\n",
		breaks: "a bank gets only the currencies it takes",
		by:     test("switch", "TestLiveNeedsALiveBank"),
	},
	{
		name: "category-is-ignored", file: "switch/catalogue.go",
		old:    "	case r.closed != iso.Fits:\n",
		new:    "	case r.closed != iso.Fits && !$zoo:\n",
		breaks: "a bank gets only the merchants it takes",
		by:     test("switch", "TestRoutedByProfile"),
	},
	{
		name: "trace-numbers-begin-anew", file: "switch/bank.go",
		old:    "	c.upcoming, c.end = first, first+traceBlock\n",
		new:    "	if $zoo {\n		first = 1\n	}\n$old",
		breaks: "a trace number is given once, also across restarts (I14)",
		by:     lives(100),
	},
}
