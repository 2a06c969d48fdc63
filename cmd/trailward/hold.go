package main

import (
	"fmt"
	"slices"

	"trailward/api/keep"
	"trailward/internal/term"
)

type holdCmd struct {
	List    holdListCmd    `cmd:"" help:"List the groups under legal hold."`
	Set     holdSetCmd     `cmd:"" help:"Put a group under legal hold: nothing of it expires."`
	Release holdReleaseCmd `cmd:"" help:"Release a group's legal hold."`
}

type holdListCmd struct {
	placeFlags `embed:""`
	Output     string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

type holdSetCmd struct {
	placeFlags `embed:""`
	Group      string `arg:"" help:"Log group."`
	Reason     string `required:"" placeholder:"TEXT" help:"Why, for whoever has to decide on its release."`
}

func (holdSetCmd) Help() string {
	return `The hold is in the ledger from now on, with its reason, as its release will be.

Examples:

  trailward hold set /eks/prod/audit --reason "case 2026-17, legal, until they say so"
  trailward hold set /eks/prod/audit --reason "case 2026-17" --server https://logs.example:7300 --token-file admin.token
  trailward hold release /eks/prod/audit`
}

type holdReleaseCmd struct {
	placeFlags `embed:""`
	Group      string `arg:"" help:"Log group."`
}

func (holdListCmd) Help() string {
	return `Examples:

  trailward hold list
  trailward hold list --server https://logs.example:7300 --token-file admin.token --output json`
}

func (holdReleaseCmd) Help() string {
	return `What is past its retention expires in the next run of expiry, which comes twice a day. The release is in the ledger.

Example:

  trailward hold release /eks/prod/audit`
}

func (c *holdListCmd) Run(a *app) error {
	return a.keep(&c.placeFlags, func(k keeper) error {
		list, err := k.Settings(a.ctx)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(s keep.Setting) bool { return s.Hold == nil })
		if c.Output == "json" {
			return jsonLines(a.stdout, list)
		}
		table := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "group"}, {Name: "since"}, {Name: "reason"}})
		for _, s := range list {
			if err := table.Row([]string{s.Group, shortTime(s.Hold.Since), s.Hold.Reason}); err != nil {
				return err
			}
		}
		return table.Close()
	})
}

func (c *holdSetCmd) Run(a *app) error {
	return a.keep(&c.placeFlags, func(k keeper) error {
		if _, err := k.SetHold(a.ctx, c.Group, c.Reason); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, term.Clean(c.Group+" is under hold: nothing of it expires"))
		return err
	})
}

func (c *holdReleaseCmd) Run(a *app) error {
	return a.keep(&c.placeFlags, func(k keeper) error {
		if _, err := k.ReleaseHold(a.ctx, c.Group); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, term.Clean("the hold on "+c.Group+" is released: what is past its retention expires"))
		return err
	})
}
