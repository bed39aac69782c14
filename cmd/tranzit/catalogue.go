package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

func catalogueCommand() *cobra.Command {
	var address, language string
	var asJSON bool
	c := &cobra.Command{
		Use:   "catalogue [BANK]",
		Short: "Show what the banks of a running switch support and demand",
		Long: `Catalogue lists the banks of a running switch by their profiles; with BANK it shows one bank whole, with what a
merchant must bring to join it.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var got struct {
				Data []payswitch.BankView `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/catalogue?lang="+url.QueryEscape(language), &got); err != nil {
				return err
			}
			banks := got.Data
			if len(given) == 1 {
				banks = nil
				for _, b := range got.Data {
					if b.ID == given[0] {
						banks = append(banks, b)
					}
				}
				if banks == nil {
					return fmt.Errorf("the switch has no bank %q", given[0])
				}
			}
			switch {
			case asJSON && len(given) == 1:
				return printJSON(cmd.OutOrStdout(), banks[0])
			case asJSON:
				return printJSON(cmd.OutOrStdout(), banks)
			case len(given) == 1:
				return printBank(cmd.OutOrStdout(), &banks[0])
			}
			return printBanks(cmd.OutOrStdout(), banks)
		},
	}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&language, "lang", "en", "language of the texts: "+strings.Join(iso.Languages(), ", "))
	c.AddCommand(catalogueLintCommand(), catalogueShowCommand())
	return c
}

func printBanks(out io.Writer, banks []payswitch.BankView) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bank\tname\tmode\tprofile\tcurrencies\thold\tcontract\tworking days\trequirements")
	for i := range banks {
		b := &banks[i]
		joining := "cannot be joined\t\t"
		if j := b.Joining; j != nil {
			joining = fmt.Sprintf("%s\t%d\t%d", contractWords(j.Contract), j.WorkingDays, len(j.Requirements))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s %d\t%s\t%d days\t%s\n", b.ID, b.Name, modeOf(b.Live), b.Profile.ID, b.Profile.Version, anyOf(b.Currencies), b.HoldDays, joining)
	}
	return w.Flush()
}

func modeOf(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

func contractWords(c payswitch.ContractView) string {
	if c.Months == 0 {
		return c.Form
	}
	return fmt.Sprintf("%s, %d months", c.Form, c.Months)
}

func anyOf(list []string) string { return cmp.Or(strings.Join(list, " "), "any") }

func printBank(out io.Writer, b *payswitch.BankView) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	fmt.Fprintf(out, "%s: %s\n%s\n\n", b.ID, b.Name, b.About)
	line("mode", "%s", modeOf(b.Live))
	line("profile", "%s, version %d", b.Profile.ID, b.Profile.Version)
	line("dialect", "%s", b.Dialect)
	line("countries", "%s", anyOf(b.Countries))
	line("currencies", "%s", anyOf(b.Currencies))
	switch {
	case len(b.MCC.Taken) > 0:
		line("categories", "%s", anyOf(b.MCC.Taken))
	case len(b.MCC.Refused) > 0:
		line("categories", "all but %s", anyOf(b.MCC.Refused))
	}
	line("brands", "%s", anyOf(b.Cards.Brands))
	for _, r := range b.Cards.Refused {
		line("refused cards", "%s: %s", r.Product, anyOf(r.Bins))
	}
	line("channels", "%s", anyOf(b.Channels))
	line("stored credentials", "%s", anyOf(b.Credentials))
	line("network tokens", "%t", b.NetworkTokens)
	line("instalments", "%s", instalmentWords(b.MaxInstalments))
	if len(b.Demands) > 0 {
		line("demands", "%s", anyOf(b.Demands))
	}
	for i := range b.Operations {
		line(b.Operations[i].Operation, "%s", operationWords(&b.Operations[i]))
	}
	line("hold", "%d days", b.HoldDays)
	line("business day ends", "%s %s", b.CutOver, b.TimeZone)
	for _, f := range b.Fields {
		line("field", "%d of a %s: %s", f.Number, f.Operation, f.Rule)
	}
	for i := range b.Fees {
		line("fee", "%s", feeWords(&b.Fees[i]))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printJoining(out, b.Joining)
}

func printJoining(out io.Writer, j *payswitch.JoiningView) error {
	if j == nil {
		_, err := fmt.Fprintln(out, "\nNobody can join it here.")
		return err
	}
	fmt.Fprintf(out, "\nTo join: %d working days; %s. %s\n", j.WorkingDays, contractWords(j.Contract), j.Contract.Text)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "requirement\towner\tkind\tworking days\twhat it is")
	for _, r := range j.Requirements {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", r.ID, r.Owner, r.Kind, r.WorkingDays, r.Text)
	}
	return w.Flush()
}

func operationWords(o *payswitch.OperationView) string {
	var words []string
	said := func(flag *bool, yes, no string) {
		switch {
		case flag == nil:
		case *flag:
			words = append(words, yes)
		default:
			words = append(words, no)
		}
	}
	said(o.Partial, "in parts", "whole")
	said(o.Several, "several times", "once")
	said(o.Lengthens, "lengthens the hold", "does not lengthen the hold")
	if o.OverPercent != nil && *o.OverPercent > 0 {
		words = append(words, fmt.Sprintf("up to %d percent more", *o.OverPercent))
	}
	if o.Days != nil && *o.Days > 0 {
		words = append(words, fmt.Sprintf("for %d days", *o.Days))
	}
	for _, a := range o.Amounts {
		words = append(words, fmt.Sprintf("%s %d to %d", a.Currency, a.From, a.To))
	}
	return cmp.Or(strings.Join(words, ", "), "yes")
}

func feeWords(f *payswitch.FeeView) string {
	var words []string
	if len(f.Brands) > 0 {
		words = append(words, anyOf(f.Brands))
	}
	if f.Percent != nil {
		words = append(words, *f.Percent+" percent")
	}
	for _, fixed := range f.Fixed {
		words = append(words, fmt.Sprintf("%s %d", fixed.Currency, fixed.Amount))
	}
	if f.Text != nil {
		words = append(words, *f.Text)
	}
	return f.For + ": " + strings.Join(words, ", ")
}

func instalmentWords(most int) string {
	if most == 0 {
		return "none"
	}
	return fmt.Sprintf("up to %d", most)
}

func catalogueLintCommand() *cobra.Command {
	var asJSON bool
	var dialect string
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check profiles of banks: files, or names of built-in ones",
		Long: `Lint lists every error of each profile with its line and what to write instead. With --dialect it also finds the
operations that the dialect has no message for.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			var spoken *iso.Dialect
			if dialect != "" {
				var err error
				if spoken, err = iso.Resolve(dialect); err != nil {
					return err
				}
			}
			return lintFiles(cmd.OutOrStdout(), files, asJSON, func(file string) ([]iso.Problem, error) { return iso.LintProfile(file, spoken) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVarP(&dialect, "dialect", "d", "", "the bank's dialect, a built-in name or a file; empty: any")
	return c
}

func catalogueShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "Print the file of a built-in profile, or their names; the best start for a bank's own",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(iso.BuiltinProfiles(), "\n"))
				return err
			}
			text, err := iso.BuiltinProfileFile(names[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
