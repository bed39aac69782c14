package zoo

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	only = flag.String("zoo.only", "", "let this one bug loose and print what its killer says")
	keep = flag.String("zoo.keep", "", "leave the test binaries with the bugs in them in this folder")
)

// bug is a planted defect.
type bug struct {
	name           string
	file, old, new string
	also           []place // where a bug needs more than one place
	breaks         string  // the promise
	by             killer
	hangs          bool // the product stands still: running out of time counts as killed
}

func (b *bug) places() []place { return append([]place{{b.file, b.old, b.new}}, b.also...) }

// killer is the test that must fail when the bug is loose.
type killer struct {
	dir, run string
	flags    string // separated by blanks
}

const (
	patience      = 100 * time.Second // for a killer
	hangPatience  = 6 * time.Second   // for one that is expected to stand still
	buildPatience = 8 * time.Minute   // on a machine that has built nothing yet
)

// allBugs is the whole zoo.
func allBugs() []bug {
	return slices.Concat(paymentBugs, reversalBugs, recoveryBugs, routeBugs, journalBugs, lineBugs, isoBugs, cardBugs, frontBugs, operationBugs, carriedBugs,
		moneyBugs, letterBugs, peopleBugs, designBugs,
		buttonBugs)
}

// TestZoo lets the bugs loose, one at a time, and fails when one survives.
func TestZoo(t *testing.T) {
	if testing.Short() {
		t.Skip("the zoo takes minutes")
	}
	z := &zoo{root: moduleRoot(t), binaries: t.TempDir(), alive: map[string][]string{}, count: map[string]int{}}
	if *keep != "" {
		z.binaries = *keep
	}
	bugs := allBugs()
	z.checkNames(t, bugs)
	z.build(t, bugs)
	if *only != "" {
		z.one(t, bugs)
		return
	}
	begin := time.Now()
	t.Run("tame", func(t *testing.T) { z.tame(t, bugs) })
	if t.Failed() {
		return
	}
	t.Run("wild", func(t *testing.T) {
		for i := range bugs {
			b := &bugs[i]
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				z.hunt(t, b)
			})
		}
	})
	z.score(t, time.Since(begin))
}

// TestBugsFitTheSources fails as soon as the product has moved on from under a
// bug. It lets none loose.
func TestBugsFitTheSources(t *testing.T) {
	root := moduleRoot(t)
	overlay, err := weave(root, t.TempDir(), allBugs())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./...")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+plainFlags())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the sources with the bugs in them do not build: %v\n%s", err, out)
	}
}

// zoo is one run.
type zoo struct {
	root, binaries string

	mu    sync.Mutex
	alive map[string][]string // survivors by package
	count map[string]int
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	// The test cache must know that this test depends on all sources.
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // other tests run beside this one, and their files come and go
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin"):
			return filepath.SkipDir
		case !d.IsDir():
			_, _ = os.Stat(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (z *zoo) checkNames(t *testing.T, bugs []bug) {
	seen := map[string]bool{}
	for _, b := range bugs {
		if seen[b.name] || b.name == "" || b.breaks == "" || b.by.run == "" {
			t.Errorf("bug %q: it needs a name of its own, a promise and a killer", b.name)
		}
		if seen[b.name] = true; !strings.Contains(b.new, "$zoo") {
			t.Errorf("bug %s has no $zoo: it would be on for ever", b.name)
		}
	}
}

// build makes a test binary of every package that kills, all bugs in it.
func (z *zoo) build(t *testing.T, bugs []bug) {
	begin := time.Now()
	overlay, err := weave(z.root, t.TempDir(), bugs)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-c", "-overlay", overlay, "-o", z.binaries + string(filepath.Separator)}
	for _, b := range bugs {
		if dir := "./" + b.by.dir; !slices.Contains(args, dir) {
			args = append(args, dir)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = z.root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+plainFlags())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the sources with the bugs in them do not build: %v\n%s", err, out)
	}
	t.Logf("built in %v", time.Since(begin).Round(time.Second))
}

// plainFlags are the GOFLAGS of the gate without the race detector: the bugs
// are no races, and without it they are found many times faster.
func plainFlags() string {
	flags := slices.DeleteFunc(strings.Fields(os.Getenv("GOFLAGS")), func(f string) bool { return f == "-race" })
	return strings.Join(flags, " ")
}

// outcome of a killer's run.
type outcome struct {
	passed, hung bool
	output       []byte
	took         time.Duration
}

func (z *zoo) run(t *testing.T, k killer, name string, limit time.Duration) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit+10*time.Second)
	defer cancel()
	args := append([]string{"-test.run=" + k.run, "-test.timeout=" + limit.String()}, strings.Fields(k.flags)...)
	cmd := exec.CommandContext(ctx, filepath.Join(z.binaries, path.Base(k.dir)+".test"), args...)
	cmd.Dir, cmd.Env = filepath.Join(z.root, k.dir), append(os.Environ(), environment+"="+name)
	cmd.WaitDelay = time.Second
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s cannot be run: %v", k.dir, err)
	}
	return outcome{passed: err == nil, output: out, took: time.Since(begin),
		hung: ctx.Err() != nil || bytes.Contains(out, []byte("test timed out after")) || bytes.Contains(out, []byte("a life hangs"))}
}

// tame runs every killer without a bug.
func (z *zoo) tame(t *testing.T, bugs []bug) {
	seen := map[killer]bool{}
	for _, b := range bugs {
		if seen[b.by] {
			continue
		}
		seen[b.by] = true
		t.Run(b.by.dir+" "+b.by.run, func(t *testing.T) {
			t.Parallel()
			o := z.run(t, b.by, "", patience)
			if !o.passed || bytes.Contains(o.output, []byte("no tests to run")) {
				t.Errorf("without any bug %s of %s must run and pass:\n%s", b.by.run, b.by.dir, tail(o.output))
			}
		})
	}
}

// hunt lets one bug loose.
func (z *zoo) hunt(t *testing.T, b *bug) {
	limit := patience
	if b.hangs {
		limit = hangPatience
	}
	o := z.run(t, b.by, b.name, limit)
	killed := !o.passed && (b.hangs || !o.hung)
	home := path.Dir(b.file)
	z.mu.Lock()
	z.count[home]++
	if !killed {
		z.alive[home] = append(z.alive[home], b.name)
	}
	z.mu.Unlock()
	switch {
	case killed:
		t.Logf("killed in %v by %s %s: %s", o.took.Round(10*time.Millisecond), b.by.dir, b.by.run, complaint(o.output))
	case o.hung:
		t.Errorf("the killer %s of %s did not end, and the bug is not known to hang:\n%s", b.by.run, b.by.dir, tail(o.output))
	default:
		t.Errorf("the bug survives %s of %s, although it breaks this: %s", b.by.run, b.by.dir, b.breaks)
	}
}

func (z *zoo) one(t *testing.T, bugs []bug) {
	i := slices.IndexFunc(bugs, func(b bug) bool { return b.name == *only })
	if i < 0 {
		t.Fatalf("there is no bug %q", *only)
	}
	b := &bugs[i]
	o := z.run(t, b.by, b.name, patience)
	t.Logf("%s breaks: %s\n%s %s in %v, passed %v, hung %v:\n%s", b.name, b.breaks, b.by.dir, b.by.run, o.took, o.passed, o.hung, o.output)
	if o.passed {
		t.Error("it survives")
	}
}

// score is what the gate prints.
func (z *zoo) score(t *testing.T, took time.Duration) {
	all, dead := 0, 0
	var homes []string
	for home := range z.count {
		homes = append(homes, home)
	}
	slices.Sort(homes)
	var text strings.Builder
	for _, home := range homes {
		n, alive := z.count[home], z.alive[home]
		all, dead = all+n, dead+n-len(alive)
		fmt.Fprintf(&text, "zoo: %-10s %2d of %2d killed", home, n-len(alive), n)
		if len(alive) > 0 {
			slices.Sort(alive)
			fmt.Fprintf(&text, "; alive: %s", strings.Join(alive, " "))
		}
		text.WriteString("\n")
	}
	fmt.Fprintf(&text, "zoo: %d of %d killed in %v\n", dead, all, took.Round(time.Second))
	t.Log("\n" + text.String())
}

// complaint is the first thing that a failed test said.
func complaint(output []byte) string {
	lines := strings.Split(string(output), "\n")
	for i, line := range lines[:len(lines)-1] {
		for _, mark := range []string{"_test.go:", "panic:", "fatal error:"} {
			if strings.Contains(line, mark) {
				line = strings.TrimSpace(line) + " " + strings.TrimSpace(lines[i+1])
				return line[:min(len(line), 240)]
			}
		}
	}
	return "it failed without a word"
}

func tail(output []byte) []byte { return output[max(0, len(output)-4000):] }
