package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandHasHelp asks each command, however deep, for its help.
func TestEveryCommandHasHelp(t *testing.T) {
	asked := 0
	var ask func(c *cobra.Command, path []string)
	ask = func(c *cobra.Command, path []string) {
		for _, words := range [][]string{append(path[:len(path):len(path)], "--help"), append([]string{"help"}, path...)} {
			out, err := command(t, "", words...)
			if err != nil || !strings.Contains(out, "Usage:") || !strings.Contains(out, "tranzit") {
				t.Errorf("tranzit %s: %v\n%s", strings.Join(words, " "), err, out)
			}
			asked++
		}
		if c.Short == "" {
			t.Errorf("tranzit %s does not say what it does", strings.Join(path, " "))
		}
		for _, sub := range c.Commands() {
			ask(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	ask(rootCommand(), nil)
	if asked < 100 {
		t.Errorf("only %d helps were asked for", asked)
	}
}

// TestWrongUsage holds wrong command lines to one clear line and exit code 2.
func TestWrongUsage(t *testing.T) {
	for line, says := range map[string]string{
		"nope":                     `unknown command "nope"`,
		"--nope":                   "unknown flag: --nope",
		"help nope":                `unknown command "nope"`,
		"help journal nope":        `tranzit journal has no command "nope"`,
		"completion":               "tranzit completion needs a command; see tranzit completion --help",
		"completion nope":          `tranzit completion has no command "nope"`,
		"journal":                  "tranzit journal needs a command; see tranzit journal --help",
		"journal nope":             `tranzit journal has no command "nope"`,
		"journal show":             "wrong number of arguments (0); usage: tranzit journal show PAYMENT",
		"journal show pay_x":       `"pay_x" is not the id of a payment`,
		"serve":                    "serve needs --config FILE",
		"serve there":              "wrong number of arguments (1); usage: tranzit serve --config tranzit.yaml",
		"keys list":                `required flag(s) "merchant" not set`,
		"saf close pay_x":          `required flag(s) "as", "reason" not set`,
		"bank-link drain":          "wrong number of arguments (0); usage: tranzit bank-link drain BANK",
		"journal stats --json=bad": "invalid argument",
		"version --json there":     "wrong number of arguments (1); usage: tranzit version",
	} {
		out, err := command(t, "", strings.Fields(line)...)
		switch {
		case err == nil:
			t.Errorf("tranzit %s: went well\n%s", line, out)
		case !isUsage(err), !strings.Contains(err.Error(), says), strings.Contains(err.Error(), "\n"), out != "":
			t.Errorf("tranzit %s: usage %t, %q, printed %q; it should say %q", line, isUsage(err), err, out, says)
		}
	}
}

// TestVersion prints the version for people and for programs.
func TestVersion(t *testing.T) {
	if out, err := command(t, "", "version"); err != nil || !strings.HasPrefix(out, "tranzit "+version+" (go") {
		t.Error(out, err)
	}
	if out, err := command(t, "", "version", "--json"); err != nil || !strings.Contains(out, `"version": "`+version+`"`) {
		t.Error(out, err)
	}
}
