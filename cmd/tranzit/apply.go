package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/client"
)

// applicant is the file that an application's secret is kept in.
type applicant struct {
	API    string `json:"api"`
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// applyFlags are what every command of an applicant takes.
type applyFlags struct {
	file   string
	asJSON bool
}

func (f *applyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "application", "application.json", "file with the application's id and secret; `tranzit apply new` writes it")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// open reads the file and makes a client of the API it names.
func (f *applyFlags) open() (*client.Client, string, error) {
	text, err := os.ReadFile(f.file)
	if err != nil {
		return nil, "", fmt.Errorf("%w; tranzit apply new writes it", err)
	}
	var a applicant
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, "", fmt.Errorf("%s: %w", f.file, err)
	}
	c, err := client.New(a.API, a.Secret)
	return c, a.ID, err
}

// applyCommand is what a shop does to be connected, over the public API.
func applyCommand() *cobra.Command {
	c := &cobra.Command{Use: "apply", Short: "Connect a shop: apply, confirm, choose banks, give documents, go live"}
	c.AddCommand(applyNewCommand(), applyStatusCommand(), applyGuideCommand(), applyUploadCommand(),
		applyAct("confirm CODE", "Confirm the e-mail address by the code of the letter; test mode opens", "confirm", func(act *client.ApplicationAct, given []string) { act.Code = given[0] }),
		applyAct("choose BANK...", "Choose one bank or several; their plan is e-mailed", "choose_banks", func(act *client.ApplicationAct, given []string) { act.Banks = given }),
		applyAct("answer BANK ITEM TEXT", "Answer an item of a bank's checklist", "answer", func(act *client.ApplicationAct, given []string) {
			act.Bank, act.Item, act.Text = given[0], given[1], given[2]
		}),
		applyAct("accept-contract BANK SIGNER", "Accept the contract with a bank, in the name of a person who may", "accept_contract", func(act *client.ApplicationAct, given []string) {
			act.Bank, act.Signer = given[0], given[1]
		}),
		applyAct("check CHECK", "Run a check before live: webhook, refund or page", "check", func(act *client.ApplicationAct, given []string) { act.Check = given[0] }),
		applyAct("new-key MODE", "Get another API key: test, or live once a bank is", "new_key", func(act *client.ApplicationAct, given []string) { act.Live = given[0] == "live" }),
		applyAct("drop BANK", "End the way to one bank", "drop_bank", func(act *client.ApplicationAct, given []string) { act.Bank = given[0] }),
		applyAct("withdraw", "Withdraw the application; its test keys end", "withdraw", func(*client.ApplicationAct, []string) {}))
	return c
}

func applyNewCommand() *cobra.Command {
	var f applyFlags
	var api string
	c := &cobra.Command{Use: "new FORM --api URL", Short: "Apply with a form, a JSON file; - reads it from the input", Args: args(cobra.ExactArgs(1)),
		Long: `Apply with a form: a JSON object with company, registration_number, country, city, statement_name, site, contact_name, email, phone,
mcc, monthly_volume, currency, language, time_zone and integration. A code goes to the e-mail address: tranzit apply confirm CODE.`,
		RunE: func(cmd *cobra.Command, given []string) error {
			if _, err := os.Stat(f.file); err == nil {
				return usageError{fmt.Errorf("%s is there already: name another file with --application", f.file)}
			}
			form, err := readApplicationForm(cmd.InOrStdin(), given[0])
			if err != nil {
				return err
			}
			made, err := client.Apply(cmd.Context(), client.Options{Base: api}, form)
			if err != nil {
				return applyProblem(err)
			}
			text, err := json.MarshalIndent(applicant{API: api, ID: made.ID, Secret: made.Secret}, "", "  ")
			if err == nil {
				err = os.WriteFile(f.file, append(text, '\n'), 0o600)
			}
			if err != nil {
				return fmt.Errorf("application %s has the secret %s, which could not be kept: %w", made.ID, made.Secret, err)
			}
			made.Secret = ""
			return f.print(cmd.OutOrStdout(), made)
		}}
	f.add(c)
	c.Flags().StringVar(&api, "api", "", "address of the API (required)")
	require(c, "api")
	return c
}

func readApplicationForm(in io.Reader, name string) (form client.ApplicationForm, err error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return form, err
		}
		defer file.Close()
		in = file
	}
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&form); err != nil {
		return form, fmt.Errorf("%s: %w", name, err)
	}
	return form, nil
}

// applyProblem tells each member that is wrong on a line of its own.
func applyProblem(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || len(p.Fields) == 0 {
		return err
	}
	lines := []error{errors.New(p.Detail)}
	for _, field := range p.Fields {
		lines = append(lines, fmt.Errorf("%s: %s", field.Pointer, field.Detail))
	}
	return errors.Join(lines...)
}

func applyStatusCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{Use: "status", Short: "Show where the application is and what is missing", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, id, err := f.open()
			if err != nil {
				return err
			}
			a, err := c.GetApplication(cmd.Context(), id)
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), a)
		}}
	f.add(c)
	return c
}

func applyGuideCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{Use: "guide", Short: "Print the integration guide with the shop's own ids, in Markdown", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, id, err := f.open()
			if err != nil {
				return err
			}
			text, err := c.ApplicationGuide(cmd.Context(), id)
			fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		}}
	f.add(c)
	return c
}

func applyUploadCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{Use: "upload BANK ITEM FILE", Short: "Give a document for an item of a bank's checklist: PDF, PNG or JPEG", Args: args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, given []string) error {
			content, err := os.ReadFile(given[2])
			if err != nil {
				return err
			}
			return f.act(cmd.Context(), cmd.OutOrStdout(), client.ApplicationAct{Type: "upload", Bank: given[0], Item: given[1], Name: filepath.Base(given[2]), Content: content})
		}}
	f.add(c)
	return c
}

// applyAct is the command of one act.
func applyAct(use, short, kind string, fill func(act *client.ApplicationAct, given []string)) *cobra.Command {
	var f applyFlags
	words := strings.Fields(use)
	count := cobra.ExactArgs(len(words) - 1)
	if strings.HasSuffix(use, "...") {
		count = cobra.MinimumNArgs(1)
	}
	c := &cobra.Command{Use: use, Short: short, Args: args(count),
		RunE: func(cmd *cobra.Command, given []string) error {
			if words[len(words)-1] == "MODE" && given[0] != "test" && given[0] != "live" {
				return usageError{fmt.Errorf("the mode is %q: want test or live", given[0])}
			}
			act := client.ApplicationAct{Type: kind}
			fill(&act, given)
			return f.act(cmd.Context(), cmd.OutOrStdout(), act)
		}}
	f.add(c)
	return c
}

func (f *applyFlags) act(ctx context.Context, out io.Writer, act client.ApplicationAct) error {
	c, id, err := f.open()
	if err != nil {
		return err
	}
	a, err := c.ActOnApplication(ctx, id, act)
	if err != nil {
		return applyProblem(err)
	}
	if err := f.print(out, a); err != nil {
		return err
	}
	for _, check := range a.Checks {
		if act.Type == "check" && check.Check == act.Check && !check.Passed && !check.Waived {
			return fmt.Errorf("the check has not passed: %s", check.Detail)
		}
	}
	return nil
}

func (f *applyFlags) print(out io.Writer, a *client.Application) error {
	if f.asJSON {
		return printJSON(out, a)
	}
	fmt.Fprintf(out, "%s  no. %d  %s  %s\n", a.ID, a.Number, a.Stage, a.Form.Company)
	if a.MerchantID != "" {
		until := "for ever"
		if a.Test.Until != nil {
			until = "until " + a.Test.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(out, "merchant %s, test mode open: %t, %s\n", a.MerchantID, a.Test.Open, until)
	}
	if a.APIKey != "" {
		fmt.Fprintln(out, "API key, shown this once:", a.APIKey)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, b := range a.Banks {
		fmt.Fprintf(w, "\nbank %s\t%s\t%s contract\t%s\t\n", b.Bank, b.Stage, b.Contract.Form, b.Contract.Number)
		for _, y := range b.Items {
			fmt.Fprintf(w, "  %s\t%s\t%s\tdue %s\t%s\n", y.ID, y.Status, y.Owner, y.Due, strings.TrimSpace(y.Text+" "+y.Note))
		}
	}
	fmt.Fprintln(w, "\nmissing:")
	for _, n := range a.Missing {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t\n", strings.TrimSpace(n.What+" "+n.Item), n.Bank, n.Owner, n.Due)
	}
	fmt.Fprintln(w, "\ncan:", strings.Join(a.Can, ", "))
	return w.Flush()
}
