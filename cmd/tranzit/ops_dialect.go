package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	payswitch "github.com/tranzit/tranzit/switch"
)

// bankDialectCommand works with the versions of the banks' dialects.
func bankDialectCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "dialect", Short: "See which version of its dialect each link of a bank speaks; try the next one, promote it, roll it back"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the versions of the banks' dialects, their links and what came of payments in them since the start",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showReleases(cmd.OutOrStdout(), address, asJSON, writeVersions)
		},
	}
	history := &cobra.Command{
		Use:   "history",
		Short: "List what was done with the versions of the banks' dialects, by whom and why",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showReleases(cmd.OutOrStdout(), address, asJSON, writeActs)
		},
	}
	addAdminFlags(list, &address, &asJSON)
	addAdminFlags(history, &address, &asJSON)
	c.AddCommand(list, history,
		actCommand(actSpec{use: "canary BANK", short: "Let some links of a bank speak its candidate: --links or --count", path: "/admin/v1/banks/%s/dialect/canary", links: true}),
		actCommand(actSpec{use: "promote BANK", short: "Let all links of a bank speak its candidate, one after the other", path: "/admin/v1/banks/%s/dialect/promote"}),
		actCommand(actSpec{use: "rollback BANK", short: "Let all links of a bank speak the version before its candidate again", path: "/admin/v1/banks/%s/dialect/rollback"}))
	return c
}

func showReleases(out io.Writer, address string, asJSON bool, write func(io.Writer, payswitch.ReleaseStatus)) error {
	var got struct {
		Data []payswitch.ReleaseStatus `json:"data"`
	}
	if err := getAdmin(address, "/admin/v1/dialects", &got); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, got.Data)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range got.Data {
		write(w, r)
	}
	return w.Flush()
}

func writeVersions(out io.Writer, r payswitch.ReleaseStatus) {
	fmt.Fprintf(out, "%s\tversion\tstage\tlinks\tapproved\tdeclined\trefuted\tunknown\n", r.Bank)
	spoken := false
	for _, v := range r.Versions {
		stage := ""
		switch {
		case r.Candidate != nil && v.Revision == *r.Candidate:
			stage, spoken = string(r.Stage), true
		case v.Revision == r.Current:
			stage = "current"
		}
		fmt.Fprintf(out, "  %s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\n", v.Dialect, v.Version, stage, numbered(v.Links), v.Approved, v.Declined, v.Refuted, v.Unknown)
	}
	if r.Candidate != nil && !spoken {
		stage := string(r.Stage)
		if r.Effective != "" {
			stage += ", effective " + r.Effective
		}
		fmt.Fprintf(out, "  %s\t%d\t%s\t%s\t\t\t\t\n", r.Candidate.Dialect, r.Candidate.Version, stage, numbered(nil))
	}
}

func writeActs(out io.Writer, r payswitch.ReleaseStatus) {
	for _, a := range r.Acts {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s: %s\n", a.At.Format(time.RFC3339), r.Bank, a.Act, a.Candidate, numbered(a.Links), a.Operator, a.Reason)
	}
}

// numbered is a list of link numbers for people.
func numbered(links []int) string {
	return cmp.Or(strings.Trim(strings.ReplaceAll(fmt.Sprint(links), " ", ","), "[]"), "-")
}
