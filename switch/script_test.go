package payswitch

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

var update = flag.Bool("update", false, "rewrite the expectations of the scripts")

// TestScripts runs testdata/*.txt: stories of one or a few payments that a
// domain person can read. Lines beginning with `>` are what the switch did; the
// other lines tell it what happens:
//
//	pay NAME AMOUNT CARD     a merchant pays; CARD is a behaviour of the test bank.
//	                         This merchant has one bank, alfa
//	begin NAME AMOUNT CARD   the same, by a merchant that also has bank vega, and
//	                         without waiting for the answer
//	told NAME                what was answered to it
//	again NAME               the merchant repeats the request under its key
//	wait DURATION            time passes
//	bank down | bank up      alfa's host cuts its links and refuses new ones; or not
//	mode WORD                alfa's mode: normal, mute, stall ...
//	drain BANK | resume BANK what an operator says of a bank
//	retry NAME               an operator puts a payment from the desk back
//	close NAME STATUS [AMOUNT]  an operator settles a payment on the desk
//	hold NAME AMOUNT CARD [BANK]  a merchant pays with manual capture, at alfa or at BANK
//	capture NAME KEY [AMOUNT] [final], cancel NAME KEY [AMOUNT], refund NAME KEY [AMOUNT],
//	increment NAME KEY TOTAL
//	                         what the merchant does to it, under an idempotency key
//	begin_capture, begin_refund  the same, without waiting for the answer
//	retry_operation NAME N, close_operation NAME N STATUS  what an operator does to its n-th operation
//	payout NAME AMOUNT CARD [BANK]  the merchant with two banks pays out
//	verify NAME CARD [BANK]  and asks whether a card is good
//	balance                  what it may pay out, by bank
//	payment NAME             the payment's state and amounts now
//	refunds NAME             its refunds
//	money                    the sums of the bank's books
//	power cut                what is not synced is lost; the switch starts again
//	story NAME               the payment's records, with the messages that went
//	books                    what the bank says
//	owed                     how many reversals are owed
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rig := newRig(t)
			var got string
			synctest.Test(t, func(t *testing.T) {
				rig.t = t
				got = runScript(rig, string(text))
			})
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(text) {
				t.Errorf("the story went otherwise:\n%s", got)
			}
		})
	}
}

// script is the state of a running script.
type script struct {
	*rig
	out      strings.Builder
	mu       sync.Mutex // of the maps
	requests map[string]*PayRequest
	ids      map[string]ID
	begun    map[string]chan string
	owner    map[string]string // of a payment: its merchant, if not one
}

func runScript(r *rig, text string) string {
	s := &script{rig: r, requests: map[string]*PayRequest{}, ids: map[string]ID{}, begun: map[string]chan string{}, owner: map[string]string{}}
	s.startBanks()
	s.start()
	s.ready()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&s.out, line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			s.do(words)
		}
	}
	s.close()
	return s.out.String()
}

func (s *script) say(format string, args ...any) {
	for line := range strings.Lines(strings.TrimRight(fmt.Sprintf(format, args...), "\n")) {
		fmt.Fprintf(&s.out, "> %s\n", strings.TrimRight(line, "\n"))
	}
}

func (s *script) do(words []string) {
	s.t.Helper()
	switch strings.Join(words[:min(2, len(words))], " ") {
	case "bank down":
		s.control(banksim.ModeRefuse)
		s.control(banksim.ActDrop)
		synctest.Wait()
		return
	case "bank up":
		s.control(banksim.ModeNormal)
		s.ready()
		return
	case "power cut":
		s.crash()
		s.start()
		s.ready()
		return
	}
	if s.operateLine(words) {
		return
	}
	switch words[0] {
	case "pay":
		s.wish(words)
		s.say("%s", s.pay("one", words[1]))
	case "again":
		s.say("%s", s.pay(cmp.Or(s.owner[words[1]], "one"), words[1]))
	case "begin":
		s.wish(words)
		told := make(chan string, 1)
		s.begun[words[1]] = told
		go func() { told <- s.pay("two", words[1]) }()
		synctest.Wait()
	case "told":
		s.say("%s", <-s.begun[words[1]])
	case "drain", "resume":
		s.operate(s.core.SetDrained(words[1], words[0] == "drain", act))
	case "retry":
		s.operate(s.core.RetryReversal(s.id(words[1]), act))
	case "close":
		status, _ := ParseStatus(words[2])
		amount, _ := strconv.ParseInt(strings.Join(words[3:], ""), 10, 64)
		s.operate(s.core.CloseReversal(s.id(words[1]), status, amount, act))
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(d)
		synctest.Wait()
	case "mode":
		s.control(words[1])
	case "story":
		s.say("%s", s.story(s.id(words[1])))
	case "books":
		for _, b := range rigBanks {
			sum := s.banks[b.id].Books().Summary()
			for currency, t := range sum.Currencies {
				s.say("%s %s: %d charged, %d reversed, net %d; %d reversals repeated", b.id, currency, t.Charged.Count, t.Reversed.Count,
					t.Net, sum.ReversalRepeats)
			}
		}
	case "owed":
		s.owed()
	default:
		s.t.Fatalf("no such line: %v", words)
	}
}

func (s *script) owed() {
	s.t.Helper()
	owed, err := s.core.OwedReversals(100)
	if err != nil {
		s.t.Fatal(err)
	}
	desk := 0
	for _, o := range owed {
		if o.Desk != "" {
			desk++
		}
	}
	s.say("%d owed, %d on the desk", len(owed)-desk, desk)
}

var act = Act{Operator: "anna", Reason: "the bank's file says so"}

func (s *script) operate(err error) {
	if err != nil {
		s.say("refused: %v", err)
	}
}

func (s *script) wish(words []string) {
	s.t.Helper()
	amount, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[words[1]] = s.request(words[1], cardOf(banksim.Behaviour(words[3])), amount)
}

func (s *script) id(name string) ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[name]
}

func (s *script) pay(merchant, name string) string {
	s.mu.Lock()
	r := s.requests[name]
	s.mu.Unlock()
	answer, err := s.core.Pay(s.account(merchant), r)
	if err != nil {
		return fmt.Sprintf("refused: %v", err)
	}
	s.mu.Lock()
	s.ids[name] = answer.Payment.ID
	s.mu.Unlock()
	p := answer.Payment
	text := "told " + p.Status.String()
	if p.Decline != nil {
		text += " (" + p.Decline.Code + ")"
	}
	if p.Resolution != nil {
		text += fmt.Sprintf(" (%s, next %s", p.Resolution.Reason, p.Resolution.NextAction)
		if !p.Resolution.NextAt.IsZero() {
			text += fmt.Sprintf(" in %s", p.Resolution.NextAt.Sub(p.UpdatedAt))
		}
		text += ")"
	}
	if merchant == "two" {
		text += " by " + p.Bank
	}
	if answer.Replayed {
		text += ", as before"
	}
	return text
}
