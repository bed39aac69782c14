package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tranzit/tranzit/acquirers/keystore"
)

func bankKeysList(k *KeyStoreConfig) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List the slots with the check values of their keys", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.open()
			if err != nil {
				return err
			}
			slots, err := s.Slots()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), slots)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "slot\tusage\talgorithm\tcheck\tversion\tsince\tbefore\tuntil")
			for _, s := range slots {
				until := "-"
				switch {
				case s.Offer != "":
					until = "on offer"
				case s.Before != "":
					until = s.Until.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", s.Name, s.Usage, s.Algorithm, s.Check, s.Version, s.Since.Format(time.RFC3339), dash(s.Before), until)
			}
			return w.Flush()
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// keyFlags are what every command that puts a key in is told.
type keyFlags struct {
	usage, algorithm, check string
	overlap                 time.Duration
}

func (f *keyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.usage, "usage", "", "what the key is for, as ANSI X9.143 names it: M3 codes, P0 PIN blocks, B0 base derivation, K0 key encryption, K1 key blocks")
	c.Flags().StringVar(&f.algorithm, "algorithm", "", "T triple DES, D DES, A AES, H HMAC")
	c.Flags().StringVar(&f.check, "check", "", "check value of the whole key, in hex")
	c.Flags().DurationVar(&f.overlap, "overlap", keystore.DefaultMargin, "how long the key before it goes on to verify")
}

// fill reads the flags into an import.
func (f *keyFlags) fill(i *keystore.Import) (err error) {
	if i.Check, err = hex.DecodeString(f.check); err != nil {
		return usageError{errors.New("--check must be hex digits")}
	}
	if len(f.algorithm) > 1 || f.overlap < 0 {
		return usageError{errors.New("--algorithm is one letter, and --overlap is not negative")}
	}
	if i.Usage = f.usage; f.algorithm != "" {
		i.Algorithm = f.algorithm[0]
	}
	i.Until = time.Now().Add(f.overlap)
	return nil
}

func bankKeysImport(k *KeyStoreConfig) *cobra.Command {
	var f keyFlags
	var kek string
	var cryptogram bool
	c := &cobra.Command{Use: "import SLOT --kek SLOT", Short: "Take a key block, or a cryptogram, from standard input", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			i := keystore.Import{Slot: given[0], KEK: kek}
			if err := f.fill(&i); err != nil {
				return err
			}
			text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<14))
			if err != nil {
				return err
			}
			if i.Block = string(bytes.TrimSpace(text)); cryptogram {
				i.Block = ""
				if i.Sealed, err = hex.DecodeString(string(bytes.TrimSpace(text))); err != nil {
					return errors.New("the cryptogram must be hex digits")
				}
			}
			return putKey(cmd, k, i)
		}}
	f.add(c)
	c.Flags().StringVar(&kek, "kek", "", "slot of the key that it is under (required)")
	c.Flags().BoolVar(&cryptogram, "cryptogram", false, "it is no key block: the key encrypted in ECB, in hex; needs --usage, --algorithm and --check")
	if err := c.MarkFlagRequired("kek"); err != nil {
		panic(err)
	}
	return c
}

func putKey(cmd *cobra.Command, k *KeyStoreConfig, i keystore.Import) error {
	s, err := k.open()
	if err != nil {
		return err
	}
	got, err := s.Import(i)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "slot %s: usage %s, check value %s, version %d\n", got.Name, got.Usage, got.Check, got.Version)
	return err
}

func bankKeysLoad(k *KeyStoreConfig) *cobra.Command {
	var f keyFlags
	var custodians []string
	c := &cobra.Command{Use: "load SLOT --custodians NAME,NAME... --usage U --algorithm A --check HEX", Short: "Load a key from the components of two or more custodians",
		Long: `Load a key from the components of two or more custodians. Each in turn types a
component and its check value, in hex; nothing of it is shown. The key is the XOR
of all, and is taken only when the check value of each component and that of the
whole are right. No single person ever has the key.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			i := keystore.Import{Slot: given[0]}
			if err := f.fill(&i); err != nil {
				return err
			}
			if err := differ(custodians); err != nil {
				return usageError{err}
			}
			t := terminal{in: bufio.NewReader(cmd.InOrStdin()), out: cmd.ErrOrStderr()}
			for n, name := range custodians {
				part, err := t.component(fmt.Sprintf("custodian %d of %d, %s", n+1, len(custodians), name), i.Algorithm)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				defer clear(part)
				i.Parts = append(i.Parts, part)
			}
			return putKey(cmd, k, i)
		}}
	f.add(c)
	c.Flags().StringSliceVar(&custodians, "custodians", nil, "who brings the components, two people or more (required)")
	for _, name := range []string{"custodians", "usage", "algorithm", "check"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

// differ demands two people or more, each once.
func differ(custodians []string) error {
	seen := map[string]bool{}
	for _, name := range custodians {
		key := strings.ToLower(strings.TrimSpace(name))
		if key == "" || seen[key] {
			return errors.New("--custodians must name different people")
		}
		seen[key] = true
	}
	if len(custodians) < 2 || len(custodians) > 9 {
		return errors.New("--custodians must name 2 to 9 people: no one alone may have a key")
	}
	return nil
}

// terminal asks custodians.
type terminal struct {
	in  *bufio.Reader
	out io.Writer
}

// line reads one answer, unseen where standard input is a terminal.
func (t terminal) line(prompt string) (string, error) {
	fmt.Fprintf(t.out, "%s: ", prompt)
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(t.out)
		return strings.TrimSpace(string(text)), err
	}
	text, err := t.in.ReadString('\n')
	fmt.Fprintln(t.out)
	if errors.Is(err, io.EOF) && text != "" {
		err = nil
	}
	return strings.TrimSpace(text), err
}

func (t terminal) component(who string, algorithm byte) ([]byte, error) {
	text, err := t.line(who + ": component")
	if err != nil {
		return nil, err
	}
	part, err := hex.DecodeString(text)
	if err != nil {
		return nil, errors.New("a component is hex digits")
	}
	text, err = t.line(who + ": check value of the component")
	if err != nil {
		return nil, err
	}
	want, err := hex.DecodeString(text)
	if err != nil || len(want) < 2 || len(want) > 5 {
		return nil, errors.New("a check value is 4 to 10 hex digits")
	}
	got, err := keystore.CheckValue(algorithm, part, len(want))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(got, want) {
		return nil, keystore.ErrCheck
	}
	return part, nil
}
