package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return `Prints a script that makes the shell complete commands, flags, their fixed values and file names.

Examples:

  source <(trailward completion bash)                                # this shell
  trailward completion bash > /etc/bash_completion.d/trailward       # every shell
  trailward completion zsh  > "${fpath[1]}/_trailward"
  trailward completion fish > ~/.config/fish/completions/trailward.fish`
}

func (c *completionCmd) Run(a *app) error {
	commands := leaves(a.model.Node, nil, nil)
	switch c.Shell {
	case "bash":
		return bashCompletion(a.stdout, commands)
	case "zsh":
		return zshCompletion(a.stdout, commands)
	}
	return fishCompletion(a.stdout, commands)
}

// leafCommand is a command that can be run.
type leafCommand struct {
	words []string // that name it
	helps []string // what each of the words is for
	flags []*kong.Flag
	enum  []string // values of its first argument, when those are fixed
}

// leaves lists the commands below node in the order of the help.
func leaves(node *kong.Node, words, helps []string) []leafCommand {
	if len(node.Children) == 0 {
		c := leafCommand{words: words, helps: helps}
		for _, group := range node.AllFlags(true) {
			c.flags = append(c.flags, group...)
		}
		if len(node.Positional) > 0 && node.Positional[0].Enum != "" {
			c.enum = node.Positional[0].EnumSlice()
		}
		return []leafCommand{c}
	}
	var out []leafCommand
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			out = append(out, leaves(child, append(slices.Clip(words), child.Name), append(slices.Clip(helps), child.Help))...)
		}
	}
	return out
}

// nextWords lists, for every prefix of a command ("" and "token"), the words
// that may follow, with their help.
func nextWords(commands []leafCommand) (prefixes []string, next map[string][][2]string) {
	next = map[string][][2]string{}
	seen := map[string]bool{}
	for _, c := range commands {
		for i, w := range c.words {
			prefix := strings.Join(c.words[:i], " ")
			if seen[prefix+" "+w] {
				continue
			}
			seen[prefix+" "+w] = true
			if next[prefix] == nil {
				prefixes = append(prefixes, prefix)
			}
			next[prefix] = append(next[prefix], [2]string{w, c.helps[i]})
		}
	}
	return prefixes, next
}

// quote writes s as one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// fileFlag reports whether a flag's value is a path.
func fileFlag(f *kong.Flag) bool { return f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR" }

func bashCompletion(w io.Writer, commands []leafCommand) error {
	var b strings.Builder
	b.WriteString("# bash completion for trailward\n_trailward() {\n")
	b.WriteString("  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd='' i\n")
	b.WriteString("  for ((i = 1; i < COMP_CWORD; i++)); do\n    case \"$cmd ${COMP_WORDS[i]}\" in\n")
	prefixes, next := nextWords(commands)
	var known []string
	for _, p := range prefixes {
		for _, n := range next[p] {
			known = append(known, quote(p+" "+n[0]))
		}
	}
	fmt.Fprintf(&b, "    %s) cmd=\"${cmd:+$cmd }${COMP_WORDS[i]}\" ;;\n    esac\n  done\n", strings.Join(known, "|"))
	b.WriteString("  case \"$cmd $prev\" in\n")
	for _, c := range commands {
		name := strings.Join(c.words, " ")
		for _, f := range c.flags {
			switch {
			case f.Enum != "":
				fmt.Fprintf(&b, "  %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", quote(name+" --"+f.Name), quote(strings.Join(f.EnumSlice(), " ")))
			case f.PlaceHolder == "DIR":
				fmt.Fprintf(&b, "  %s) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", quote(name+" --"+f.Name))
			case f.PlaceHolder == "FILE":
				fmt.Fprintf(&b, "  %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", quote(name+" --"+f.Name))
			}
		}
	}
	b.WriteString("  esac\n  case \"$cmd\" in\n")
	for _, p := range prefixes {
		var words []string
		for _, n := range next[p] {
			words = append(words, n[0])
		}
		fmt.Fprintf(&b, "  %s) COMPREPLY=($(compgen -W %s -- \"$cur\")) ;;\n", quote(p), quote(strings.Join(append(words, "--help"), " ")))
	}
	for _, c := range commands {
		words := append([]string(nil), c.enum...)
		for _, f := range c.flags {
			words = append(words, "--"+f.Name)
		}
		fmt.Fprintf(&b, "  %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); [[ $cur == -* ]] || COMPREPLY+=($(compgen -f -- \"$cur\")) ;;\n",
			quote(strings.Join(c.words, " ")), quote(strings.Join(words, " ")))
	}
	b.WriteString("  esac\n}\ncomplete -o filenames -F _trailward trailward\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func zshCompletion(w io.Writer, commands []leafCommand) error {
	var b strings.Builder
	b.WriteString("#compdef trailward\n# zsh completion for trailward\n_trailward() {\n  local cmd='' word\n  for word in ${words[2,CURRENT-1]}; do\n    case \"$cmd $word\" in\n")
	prefixes, next := nextWords(commands)
	var known []string
	for _, p := range prefixes {
		for _, n := range next[p] {
			known = append(known, quote(p+" "+n[0]))
		}
	}
	fmt.Fprintf(&b, "    %s) cmd=\"${cmd:+$cmd }$word\" ;;\n    esac\n  done\n  local -a choices\n  case \"$cmd\" in\n", strings.Join(known, "|"))
	for _, p := range prefixes {
		fmt.Fprintf(&b, "  %s) choices=(", quote(p))
		for _, n := range next[p] {
			b.WriteString(" " + quote(n[0]+":"+n[1]))
		}
		b.WriteString(" ); _describe command choices ;;\n")
	}
	for _, c := range commands {
		fmt.Fprintf(&b, "  %s) _arguments", quote(strings.Join(c.words, " ")))
		for _, f := range c.flags {
			spec := "--" + f.Name + "[" + strings.NewReplacer("[", "(", "]", ")", ":", ".").Replace(f.Help) + "]"
			switch {
			case f.IsBool():
			case f.Enum != "":
				spec += ":" + f.Name + ":(" + strings.Join(f.EnumSlice(), " ") + ")"
			case fileFlag(f):
				spec += ":" + f.Name + ":_files"
			default:
				spec += ":" + f.Name + ":"
			}
			if f.IsSlice() {
				spec = "*" + spec
			}
			b.WriteString(" " + quote(spec))
		}
		if len(c.enum) > 0 {
			b.WriteString(" " + quote("*: :("+strings.Join(c.enum, " ")+")"))
		} else {
			b.WriteString(" '*: :_files'")
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("  esac\n}\ncompdef _trailward trailward\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func fishCompletion(w io.Writer, commands []leafCommand) error {
	var b strings.Builder
	b.WriteString("# fish completion for trailward\n")
	prefixes, next := nextWords(commands)
	for _, p := range prefixes {
		cond := "__fish_use_subcommand"
		var words []string
		for _, n := range next[p] {
			words = append(words, n[0])
		}
		if p != "" {
			cond = "__fish_seen_subcommand_from " + p + "; and not __fish_seen_subcommand_from " + strings.Join(words, " ")
		}
		for _, n := range next[p] {
			fmt.Fprintf(&b, "complete -c trailward -f -n %s -a %s -d %s\n", quote(cond), quote(n[0]), quote(n[1]))
		}
	}
	for _, c := range commands {
		var conds []string
		for _, word := range c.words {
			conds = append(conds, "__fish_seen_subcommand_from "+word)
		}
		cond := quote(strings.Join(conds, "; and "))
		if len(c.enum) > 0 {
			fmt.Fprintf(&b, "complete -c trailward -f -n %s -a %s\n", cond, quote(strings.Join(c.enum, " ")))
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c trailward -n %s -l %s -d %s", cond, quote(f.Name), quote(f.Help))
			switch {
			case f.IsBool():
			case f.Enum != "":
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(f.EnumSlice(), " ")))
			case fileFlag(f):
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
