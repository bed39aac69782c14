//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// mountSmall puts a small file system of its own under the rig's data folder.
func (r *rig) mountSmall(mib int) (data string) {
	r.t.Helper()
	data = filepath.Join(r.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=700", mib)); err != nil {
		r.t.Skipf("NOT TESTED: a full disk. This process may not mount a tmpfs (%v); run the tests as root to have it tested", err)
	}
	r.t.Cleanup(func() {
		r.kill()
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			r.t.Errorf("unmounting %s: %v", data, err)
		}
	})
	return data
}

// ballast fills the file system of dir until only free bytes are left, or fewer:
// others may be writing.
func (r *rig) ballast(dir string, free int64) (remove func()) {
	r.t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for range 20 {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			r.t.Fatal(err)
		}
		size := int64(st.Bavail)*int64(st.Bsize) - free
		if size <= 0 {
			err = nil
			break
		}
		if err = syscall.Fallocate(int(f.Fd()), 0, 0, size); err == nil {
			break
		}
	}
	if err != nil {
		r.t.Fatalf("ballast until %d bytes are free: %v", free, err)
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestDiskFull fills the disk under a working switch: new payments are turned
// away without a trace, what is in flight ends inside the reserve, and when
// there is room again payments are taken without a restart.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, settings: "journal: {reserve_mib: 24, memtable_mib: 2, cache_mib: 8}\n",
		timeouts: "{connect: 1s, write: 300ms, response: 3s, reversal: 3s}"})
	data := r.mountSmall(64)
	r.start()
	r.awaitReady()
	before := append(wishesFor("before", "alfa", cardApproved, 3), wishesFor("before", "vega", cardDeclined, 2)...)
	r.launch(before)()
	r.mustAnswer(before, 201)

	r.control("alfa", banksim.Control{Mode: banksim.ActDelay, DelayMS: 1500})
	good, silent := wishesFor("flying", "alfa", cardApproved, 6), wishesFor("flying", "vega", cardCharged, 6)
	inFlight := r.launch(append(slices.Clone(good), silent...))
	r.awaitBooked("alfa", 3+len(good))
	r.awaitBooked("vega", 2+len(silent))
	remove := r.ballast(data, 16<<20)
	r.await("the journal to notice", func() bool { return strings.Contains(r.parts()["journal"], "below the reserve") })

	books := r.banks["alfa"].Books().Len() + r.banks["vega"].Books().Len()
	var refused []*wish
	for _, bank := range []string{"alfa", "vega"} {
		for _, w := range wishesFor("refused", bank, cardApproved, 4) {
			r.mustRefuse(w, "overloaded")
			refused = append(refused, w)
		}
	}
	inFlight()
	r.mustAnswer(good, 201)
	r.mustAnswer(silent, 202)
	r.await("reversals to end inside the reserve", r.quiet)
	if again, body, replayed := r.pay(good[0]); again != 201 || !replayed || !bytes.Equal(body, good[0].body) {
		t.Errorf("the repeat of an answered payment on a full disk: HTTP %d, replayed %v", again, replayed)
	}
	if now := r.banks["alfa"].Books().Len() + r.banks["vega"].Books().Len(); now != books {
		t.Errorf("the banks heard of %d payments that were refused", now-books)
	}
	if r.parts()["journal"] == "" {
		t.Error("the journal accepts on a full disk: the test is vacuous")
	}
	remove()
	r.awaitReady()
	after := wishesFor("after", "vega", cardApproved, 3)
	r.launch(after)()
	r.mustAnswer(after, 201)
	counts := r.finish(slices.Concat(before, good, silent, refused, after))
	reached(t, counts, "captured -> captured", "declined -> declined", "unknown -> reversed", "refused")
}

// TestDiskGone fills the disk to the last byte under a switch that was told to
// keep no reserve: the process stops with status 3 rather than go on, does not
// start without room, and resolves everything when there is room again.
func TestDiskGone(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, settings: "journal: {reserve_mib: -1, memtable_mib: 1, cache_mib: 8}\n"})
	data := r.mountSmall(48)
	r.start()
	r.awaitReady()
	load := r.loadFor(traffic{name: "gone", workers: 24}, patience)
	r.awaitBooked("alfa", 50)
	remove := r.ballast(data, 0)
	if code := r.awaitExit().ExitCode(); code != 3 {
		t.Errorf("the process ended with status %d on a full disk, want 3\n%s", code, r.logTail())
	}
	all := <-load
	if code, said := r.serveOn(data); code != 1 && code != 3 || !strings.Contains(said, "no space left on device") {
		t.Errorf("a start on a full disk: status %d, %s", code, said)
	}
	remove()
	r.start()
	reached(t, r.finish(all), "captured -> captured", "declined -> declined", "unknown -> reversed")
}

// TestDiskFullAt fills the disk under load so that the write which finds no room
// is another one each time: the process stops with status 3, and the next start
// with room resolves everything.
func TestDiskFullAt(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, settings: "journal: {reserve_mib: -1, memtable_mib: 1, cache_mib: 8}\n"})
	data := r.mountSmall(48)
	var all []*wish
	for n, pages := range []int64{1, 4, 11, 30, 70} {
		r.start()
		load := r.loadFor(traffic{name: fmt.Sprintf("full%d", n), workers: 6}, patience)
		calm := r.loadFor(traffic{name: fmt.Sprintf("calm%d", n), workers: 12, calm: true}, patience)
		booked := r.banks["alfa"].Books().Len()
		r.awaitBooked("alfa", booked+20)
		remove := r.ballast(data, pages<<12)
		if code := r.awaitExit().ExitCode(); code != 3 || !strings.Contains(r.logTail(), "no space left on device") {
			t.Errorf("%d pages were free: the process ended with status %d, want 3 and the reason\n%s", pages, code, r.logTail())
		}
		remove()
		all = slices.Concat(all, <-load, <-calm)
	}
	r.start()
	r.repeatAll(sample(told(all)))
	reached(t, r.settle(all), "captured -> captured", "declined -> declined", "unknown -> reversed")
}

// sample are the wishes nobody answered, and every tenth of the others.
func sample(all []*wish) (some []*wish) {
	for n, w := range all {
		if w.code == 0 || n%10 == 0 {
			some = append(some, w)
		}
	}
	return some
}

// tracer makes strace run the switch with one fault injected; the switch stays
// the direct child, so that signals and its exit status are its own.
func (r *rig) tracer(inject string, more ...string) (log string) {
	r.t.Helper()
	needStrace(r.t)
	log = filepath.Join(r.t.TempDir(), "strace.log")
	name, _, _ := strings.Cut(inject, ":")
	r.wrap = []string{"strace", "-D", "-f", "-qq", "-s", "24", "-o", log,
		"-e", "trace=" + strings.Join(append(more, name), ","), "-e", "signal=none", "-e", "inject=" + inject}
	if !strings.Contains(inject, "signal=") { // the kernel's filter makes tracing cheap, and strace then injects no signals
		r.wrap = append(r.wrap, "--seccomp-bpf")
	}
	r.wrap = append(r.wrap, "--")
	return log
}

var straceWorks = sync.OnceValue(func() error {
	out, err := exec.Command("strace", "-D", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "--", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w %s", err, bytes.TrimSpace(out))
	}
	return nil
})

func needStrace(t *testing.T) {
	t.Helper()
	if err := straceWorks(); err != nil {
		t.Skipf("NOT TESTED: faults of system calls. strace does not run here (%v); scripts/deps.sh installs it on Debian, and the kernel must allow ptrace", err)
	}
}

// TestSyncFails injects EIO into one sync after another: of the log, and of the
// anchor. The process stops with status 3, and after a failed sync of the log
// it tells nobody "approved".
func TestSyncFails(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true})
	approved := regexp.MustCompile(`write\(\d+, "HTTP/1\.1 201`)
	var all []*wish
	answers := 0
	for _, inject := range []string{"fdatasync:error=EIO:when=6", "fdatasync:error=EIO:when=15"} {
		trace := r.tracer(inject, "write")
		r.start()
		// One payment at a time: the failed sync belongs to the one in hand.
		all = append(all, <-r.loadFor(traffic{name: inject, workers: 1, calm: true}, 20*time.Second)...)
		r.mustStop(inject)
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		before, after, injected := bytes.Cut(text, []byte("(INJECTED)"))
		if !injected {
			t.Errorf("%s: the fault was not reached", inject)
		}
		answers += len(approved.FindAll(before, -1))
		if line := approved.Find(after); line != nil {
			t.Errorf("%s: a merchant was told %s after the failed sync", inject, line)
		}
	}
	if answers == 0 {
		t.Error("no payment was approved before a fault: the test is vacuous")
	}
	r.wrap = nil
	r.start()
	r.attach("fsync:error=EIO:when=1")
	all = append(all, <-r.loadFor(traffic{name: "anchor", workers: 2, calm: true}, 20*time.Second)...)
	r.mustStop("the anchor's sync")
	r.start()
	reached(t, r.finish(all), "captured -> captured")
}

// mustStop waits for the end of a process whose journal has failed.
func (r *rig) mustStop(what string) {
	r.t.Helper()
	if code := r.awaitExit().ExitCode(); code != 3 || !strings.Contains(r.logTail(), "input/output error") {
		r.t.Errorf("%s: the process ended with status %d, want 3 and the reason\n%s", what, code, r.logTail())
	}
}

// attach injects a fault into the running switch until detach.
func (r *rig) attach(inject string) (detach func()) {
	r.t.Helper()
	needStrace(r.t)
	name, _, _ := strings.Cut(inject, ":")
	pid := r.process.Process.Pid
	tracer := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace="+name, "-e", "signal=none",
		"-e", "inject="+inject, "-p", strconv.Itoa(pid))
	var said bytes.Buffer
	tracer.Stderr = &said
	if err := tracer.Start(); err != nil {
		r.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = tracer.Wait()
		close(gone)
	}()
	r.t.Cleanup(func() { _ = tracer.Process.Kill(); <-gone })
	r.await("the tracer to hold the process", func() bool {
		select {
		case <-gone:
			r.t.Skipf("NOT TESTED: faults of a running process. strace may not attach (kernel.yama.ptrace_scope): %s", said.Bytes())
		default:
		}
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, task := range tasks {
			status, err := os.ReadFile(task)
			if err == nil && !bytes.Contains(status, []byte(fmt.Sprintf("TracerPid:\t%d\n", tracer.Process.Pid))) {
				return false
			}
		}
		return len(tasks) > 0
	})
	return func() {
		_ = tracer.Process.Signal(os.Interrupt)
		<-gone
	}
}

// TestKillAtCall kills the process at the n-th call of what makes payments
// durable or sends them, for a spread of n, also while it starts and recovers.
// The tracer counts per thread, so that a rare n may not be reached in a life:
// that life ends by an ordinary kill.
func TestKillAtCall(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true})
	var all []*wish
	reachedCalls := 0
	for _, inject := range []string{"fdatasync:signal=KILL:when=9", "write:signal=KILL:when=90", "fdatasync:signal=KILL:when=2",
		"pwrite64:signal=KILL:when=7", "write:signal=KILL:when=260", "fsync:signal=KILL:when=2", "fdatasync:signal=KILL:when=31"} {
		r.tracer(inject)
		r.run("serve", "--config", r.config)
		all = append(all, <-r.loadFor(traffic{name: inject, workers: 8}, 4*time.Second)...)
		select {
		case <-r.exited:
			status := r.awaitExit().Sys().(syscall.WaitStatus)
			if status.Signal() != syscall.SIGKILL {
				t.Errorf("%s: the process was not killed: status %v\n%s", inject, status, r.logTail())
			}
			reachedCalls++
		default:
			t.Logf("%s was not reached", inject)
			r.kill()
		}
	}
	if reachedCalls < 5 {
		t.Errorf("only %d of the calls were reached", reachedCalls)
	}
	r.wrap = nil
	r.start()
	counts := r.finish(all)
	reached(t, counts, "captured -> captured", "declined -> declined", "unknown -> reversed")
}

// TestSlowSync makes every sync of the journal slow while payments keep
// coming, and fast again: the switch sheds rather than grows, and recovers.
func TestSlowSync(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, settings: "journal: {slow_after: 150ms}\n"})
	r.start()
	r.awaitReady()
	before := wishesFor("before", "alfa", cardApproved, 4)
	r.launch(before)()
	resident := r.residentKiB()
	detach := r.attach("fdatasync:delay_exit=300000")
	stop, load := make(chan struct{}), make(chan []*wish, 1)
	go func() { load <- r.load(traffic{name: "slow", workers: 32}, stop) }()
	var during []*wish
	began := time.Now()
	r.await("a payment that comes while the disk is waited for", func() bool {
		w := &wish{key: fmt.Sprint("probe-", len(during)), bank: "alfa", card: cardApproved, amount: int64(1000 + len(during))}
		w.code, w.body, _ = r.pay(w)
		during = append(during, w)
		return w.code == 503 && time.Since(began) > 1500*time.Millisecond
	})
	close(stop)
	during = append(during, <-load...)
	if grown := (r.residentKiB() - resident) >> 10; grown > 128 {
		t.Errorf("the process grew by %d MiB while the disk was slow", grown)
	}
	detach()
	r.awaitReady()
	after := wishesFor("after", "vega", cardApproved, 8)
	r.launch(after)()
	r.mustAnswer(after, 201)
	counts := r.finish(slices.Concat(before, during, after))
	reached(t, counts, "captured -> captured", "refused")
}

// TestFlippedByte changes one byte of a stopped journal, in the log and in a
// table: the start fails and names the place, and so does the check.
func TestFlippedByte(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true})
	var all []*wish
	for life := range 2 { // the second start turns the first life's log into tables
		r.start()
		r.awaitReady()
		mine := wishesFor(fmt.Sprintf("life%d", life), "alfa", cardApproved, 40)
		r.launch(mine)()
		r.mustAnswer(mine, 201)
		all = append(all, mine...)
		r.signal(syscall.SIGTERM)
	}
	data := filepath.Join(r.dir, "data")
	for kind, place := range map[string]*regexp.Regexp{
		".log": regexp.MustCompile(`the journal is damaged: .* the journal ends at batch \d+`),
		".sst": regexp.MustCompile(`(corruption: \S+/journal/|the journal is damaged: file )\d+\.sst`),
	} {
		name, content := largest(t, filepath.Join(data, "journal"), kind)
		for part := range 4 {
			at := len(content) * (2*part + 1) / 11 // the last quarter of a table is filters, index and properties
			broken := slices.Clone(content)
			broken[at] ^= 0x20
			copied := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(copied, "journal", name), broken, 0o600); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s, byte %d of %d", name, at, len(content))
			if code, said := r.serveOn(copied); code != 1 && code != 3 || !place.MatchString(said) {
				t.Errorf("%s: the start ends with %d (-1: it came up): %s", what, code, said)
			}
			out, err := r.command("journal", "verify", "--data", copied)
			if err == nil || !place.MatchString(out) {
				t.Errorf("%s: the check says %v: %s", what, err, out)
			}
		}
	}
	r.start()
	reached(t, r.finish(all), "captured -> captured")
}

// serveOn starts a switch on another data folder and returns its exit status
// and last line, or -1 when it came up.
func (r *rig) serveOn(data string) (code int, said string) {
	r.t.Helper()
	line := append(slices.Clone(r.wrap), os.Args[0], "serve", "--config", r.config)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), runAsTranzit+"=1", "TRANZIT_DATA="+data, "TRANZIT_KEY_FILE="+filepath.Join(data, "vault.key"),
		"TRANZIT_LISTEN=127.0.0.1:0", "TRANZIT_ADMIN=127.0.0.1:0")
	out, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	limit := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	defer limit.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said = lines.Text(); strings.Contains(said, "tranzit is up") {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return -1, said
		}
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), said
}

// largest is the biggest file of a kind.
func largest(t *testing.T, dir, suffix string) (name string, content []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, suffix) {
			return err
		}
		text, err := os.ReadFile(path)
		if len(text) > len(content) {
			name, content = d.Name(), text
		}
		return err
	})
	if err != nil || name == "" {
		t.Fatalf("no file *%s in %s: %v", suffix, dir, err)
	}
	return name, content
}
