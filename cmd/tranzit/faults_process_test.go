package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// TestPausedProcess stops the process for longer than every deadline while
// answers are on their way: what the bank said in time counts.
func TestPausedProcess(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true})
	r.start()
	r.awaitReady()
	r.control("alfa", banksim.Control{Mode: banksim.ActDelay, DelayMS: 250})
	waiting := wishesFor("paused", "alfa", cardApproved, 12)
	answered := r.launch(waiting)
	r.awaitBooked("alfa", len(waiting))
	if err := r.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	load := r.loadFor(traffic{name: "while", workers: 8}, 2200*time.Millisecond)
	<-time.After(1500 * time.Millisecond) // the pause itself, twice the response timeout
	if err := r.process.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	answered()
	r.mustAnswer(waiting, 201)
	counts := r.finish(append(waiting, <-load...))
	reached(t, counts, "captured -> captured", "unknown -> reversed")
}

// TestDrainUnderLoad ends the process with SIGTERM in the middle of traffic:
// whoever was let in gets an answer, and nothing is left to resolve.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, timeouts: "{connect: 1s, write: 300ms, response: 8s, reversal: 8s}"})
	r.start()
	r.awaitReady()
	r.control("vega", banksim.Control{Mode: banksim.ActDelay, DelayMS: 400})
	waiting := wishesFor("drain", "vega", cardApproved, 12)
	load := r.loadFor(traffic{name: "busy", workers: 6, calm: true}, time.Minute)
	answered := r.launch(waiting)
	r.awaitBooked("vega", len(waiting))
	r.signal(syscall.SIGTERM)
	if code := r.last.ProcessState.ExitCode(); code != 0 {
		t.Errorf("SIGTERM under load ended the process with status %d\n%s", code, r.logTail())
	}
	answered()
	all := append(waiting, <-load...)
	r.mustAnswer(waiting, 201)

	// The drained journal: everybody who has a record was told so, and no
	// payment is open.
	payments := r.journal()
	answers := 0
	for _, w := range all {
		if w.code == 201 {
			answers++
		}
	}
	if answers != len(payments) {
		t.Errorf("%d payments are in the journal and %d merchants were answered", len(payments), answers)
	}
	for id, p := range payments {
		if p.Status != "captured" {
			t.Errorf("%s is %s after the drain; the bank answers everything", id, p.Status)
		}
	}
	if len(payments) <= len(waiting) {
		t.Error("there was no load: the test is vacuous")
	}
	r.start()
	counts := r.finish(all)
	reached(t, counts, "captured -> captured")
}

// TestOneSwitchPerDirectory starts a second process on the journal of a
// running one, and one without the journal's keys: both are refused in one
// line, and the first goes on.
func TestOneSwitchPerDirectory(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true})
	r.start()
	r.awaitReady()
	before := wishesFor("first", "alfa", cardApproved, 1)
	r.launch(before)()
	oneLine := func(what, want string) {
		t.Helper()
		out, err := r.command("serve", "--config", r.config)
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
			t.Errorf("%s: %v, want exit status 1", what, err)
		}
		if text := strings.TrimSpace(out); strings.Contains(text, "\n") || !strings.Contains(text, want) {
			t.Errorf("%s says %q, want one line with %q", what, text, want)
		}
	}
	data := filepath.Join(r.dir, "data")
	oneLine("a second switch", "already open, here or in another process: "+filepath.Join(data, "journal"))
	if out, err := r.command("journal", "stats", "--data", data); err == nil || !strings.Contains(out, "use --admin ADDRESS") {
		t.Errorf("reading the journal of a running switch: %v %s", err, out)
	}
	after := wishesFor("second", "vega", cardApproved, 1)
	r.launch(after)()
	r.signal(syscall.SIGTERM)

	key := filepath.Join(data, "vault.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	oneLine("a switch without its vault key", key+" is missing")
	if _, err := os.Stat(key); err == nil {
		t.Error("a new vault key was made beside a journal sealed with another")
	}
	for what, content := range map[string]string{"empty": "", "garbage": "not a key\n"} {
		if err := os.WriteFile(key, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		oneLine("a switch with a vault key that is "+what, key)
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	r.start()
	counts := r.finish(append(before, after...))
	reached(t, counts, "captured -> captured")
}

// TestDemo runs what the README promises: start, paste the line that was
// printed, stop, start again and find the payment.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startDemo(t, dir)
	line := regexp.MustCompile(`curl -s -u (\S+): (http://\S+) \\\s+-H 'Content-Type: (\S+)' -H "Idempotency-Key: [^"]+" \\\s+-d '([^']+)'`).
		FindStringSubmatch(first.said)
	if line == nil {
		t.Fatalf("no curl line in:\n%s", first.said)
	}
	post, err := http.NewRequest(http.MethodPost, line[2], strings.NewReader(line[4]))
	if err != nil {
		t.Fatal(err)
	}
	post.SetBasicAuth(line[1], "")
	post.Header.Set("Content-Type", line[3])
	post.Header.Set("Idempotency-Key", "pasted-once")
	code, body := demoAsk(t, post)
	id := regexp.MustCompile(`"id":"(pay_[^"]+)"`).FindStringSubmatch(body)
	if code != 201 || !strings.Contains(body, `"status":"captured"`) || id == nil {
		t.Fatalf("the printed line gives HTTP %d %s", code, body)
	}
	if rest := first.stop(); !strings.Contains(rest, "Draining") || !strings.Contains(rest, "kept in "+dir) {
		t.Errorf("on Ctrl-C the demo says %q", rest)
	}
	second := startDemo(t, dir)
	look := regexp.MustCompile(`curl -s -u (\S+): (http://\S+/v1/payments)\n`).FindStringSubmatch(second.said)
	if look == nil {
		t.Fatalf("no line that lists the payments in:\n%s", second.said)
	}
	list, err := http.NewRequest(http.MethodGet, look[2], nil)
	if err != nil {
		t.Fatal(err)
	}
	list.SetBasicAuth(look[1], "")
	if code, body := demoAsk(t, list); code != 200 || !strings.Contains(body, id[1]) {
		t.Errorf("the second run does not list %s: HTTP %d %s", id[1], code, body)
	}
	second.stop()
}

func demoAsk(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// demoRun is a running `tranzit demo`.
type demoRun struct {
	t    *testing.T
	cmd  *exec.Cmd
	said string // until it waits for Ctrl-C
	rest *bufio.Reader
}

func startDemo(t *testing.T, dir string) *demoRun {
	t.Helper()
	cmd := exec.Command(os.Args[0], "demo", "--data", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--cabinet", "localhost:0")
	cmd.Env = append(os.Environ(), runAsTranzit+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &demoRun{t: t, cmd: cmd, rest: bufio.NewReader(out)}
	limit := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		limit.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for !strings.Contains(d.said, "Ctrl-C drains") {
		line, err := d.rest.ReadString('\n')
		if d.said += line; err != nil {
			t.Fatalf("the demo ended: %v\n%s", err, d.said)
		}
	}
	return d
}

// stop presses Ctrl-C and returns what the demo said after it.
func (d *demoRun) stop() string {
	d.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		d.t.Fatal(err)
	}
	rest, err := io.ReadAll(d.rest)
	if err != nil {
		d.t.Error(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the demo did not stop cleanly: %v\n%s", err, rest)
	}
	return string(rest)
}
