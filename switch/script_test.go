package payswitch

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
//	pay NAME AMOUNT CARD     a merchant pays; CARD is a behaviour of the test bank
//	again NAME               the merchant repeats the request under its key
//	wait DURATION            time passes
//	bank down | bank up      the bank's host stops listening, or starts
//	mode WORD                the bank's mode: normal, mute ...
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
	requests map[string]*PayRequest
	ids      map[string]ID
}

func runScript(r *rig, text string) string {
	s := &script{rig: r, requests: map[string]*PayRequest{}, ids: map[string]ID{}}
	s.startBank()
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
	switch words[0] {
	case "pay":
		amount, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		s.requests[words[1]] = s.request(words[1], cardOf(banksim.Behaviour(words[3])), amount)
		s.pay(words[1])
	case "again":
		s.pay(words[1])
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
		s.say("%s", s.story(s.ids[words[1]]))
	case "books":
		sum := s.bank.Books().Summary()
		for currency, t := range sum.Currencies {
			s.say("%s: %d charged, %d reversed, net %d; %d reversals repeated", currency, t.Charged.Count, t.Reversed.Count, t.Net,
				sum.ReversalRepeats)
		}
	case "owed":
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
	default:
		s.t.Fatalf("no such line: %v", words)
	}
}

func (s *script) control(mode string) {
	s.t.Helper()
	if err := s.bank.Control(banksim.Control{Mode: mode}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *script) pay(name string) {
	answer, err := s.core.Pay(s.account(), s.requests[name])
	if err != nil {
		s.say("refused: %v", err)
		return
	}
	s.ids[name] = answer.Payment.ID
	p := answer.Payment
	text := "told " + p.Status.String()
	if p.Decline != nil {
		text += " (" + p.Decline.Code + ")"
	}
	if p.Resolution != nil {
		text += fmt.Sprintf(" (%s, next %s in %s)", p.Resolution.Reason, p.Resolution.NextAction, p.Resolution.NextAt.Sub(p.UpdatedAt))
	}
	if answer.Replayed {
		text += ", as before"
	}
	s.say("%s", text)
}
