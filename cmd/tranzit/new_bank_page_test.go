package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pageBlock = regexp.MustCompile("(?s)```\n(\\$ .*?)```")
	pageAdded = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

// commandsOf are the command lines of a page, each after its "$ ", with the lines
// that belong to it.
func commandsOf(page string) (all []string) {
	for _, block := range pageBlock.FindAllStringSubmatch(page, -1) {
		for _, piece := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			lines := strings.Split(piece, "\n")
			n := 1
			if strings.Contains(lines[0], "<<'END'") {
				for n < len(lines) && lines[n-1] != "END" {
					n++
				}
			}
			for n < len(lines) && (strings.HasSuffix(lines[n-1], `\`) || strings.Count(strings.Join(lines[:n], "\n"), "'")%2 == 1) {
				n++
			}
			all = append(all, strings.Join(lines[:n], "\n"))
		}
	}
	return all
}

// Every command of docs/new-bank.md does what the page says, one after the other, in a
// shell; only the addresses are others.
func TestTheNewBankPageRuns(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "new-bank.md"))
	if err != nil {
		t.Fatal(err)
	}
	page, dir := string(text), t.TempDir()
	for _, port := range []string{"9181", "9182", "8080", "8081"} {
		page = strings.ReplaceAll(page, "127.0.0.1:"+port, freeAddress(t))
	}
	docs, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs(os.Args[0])
	if err != nil || os.Symlink(docs, filepath.Join(dir, "docs")) != nil || os.Symlink(program, filepath.Join(dir, "tranzit")) != nil {
		t.Fatal("the folder cannot be made")
	}
	shell := func(line string) *exec.Cmd {
		cmd := exec.Command("bash", "-c", line)
		cmd.Dir, cmd.SysProcAttr = dir, childOfTest()
		cmd.Env = append(os.Environ(), runAsTranzit+"=1", "PATH="+dir+":"+os.Getenv("PATH"))
		return cmd
	}
	ran := 0
	for _, line := range commandsOf(page) {
		ran++
		switch {
		case strings.HasPrefix(line, "go build"):
		case strings.HasPrefix(line, "tranzit bank "), strings.HasPrefix(line, "tranzit serve "):
			background(t, shell("exec "+line))
		case strings.HasPrefix(line, "curl "):
			paid := ""
			(&rig{t: t}).await("a payment", func() bool {
				out, _ := shell(line).Output()
				paid = string(out)
				return strings.Contains(paid, `"status":"captured"`)
			})
		default:
			out, err := shell(line).CombinedOutput()
			if wrong := strings.HasPrefix(line, "sed s/5411/5999/"); (err != nil) != wrong || wrong && !strings.Contains(page, strings.TrimSpace(string(out))) {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
		if strings.HasPrefix(line, "tranzit dialect new ") {
			appendTo(t, filepath.Join(dir, "omega.yaml"), pageAdded.FindStringSubmatch(page)[1])
		}
	}
	if ran < 14 {
		t.Errorf("the page has only %d commands", ran)
	}
}

// background runs a command until the test ends, and waits until it says what it does.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = out.Close()
	})
	(&rig{t: t, logPath: log}).await(fmt.Sprint(cmd.Args), func() bool {
		said, err := os.ReadFile(log)
		return err == nil && (strings.Contains(string(said), "listens on") || strings.Contains(string(said), "tranzit is up"))
	})
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
