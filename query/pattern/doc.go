// Package pattern finds the patterns that texts follow, for the commands
// pattern, diff and anomaly of Logs Insights QL.
//
// It works in two steps, so that the dear one sees few texts.
//
// [Mask] reads one text once and writes it with everything variable replaced by
// a mark of its type: numbers, times, dates, addresses, UUIDs, hexadecimal, and
// words that hold digits (names such as pod-7c5d or i-0abc). Words without
// digits, the keys of JSON and punctuation stay; white space becomes one blank
// or one line feed. Texts that a machine wrote from one template nearly always
// have the same mask. The mask of a text depends on nothing but the text.
//
// [Find] gets the different masks with their counts and brings those together
// that differ in words only, which users' or services' names do:
//
//   - Masks are compared only when they have the same punctuation and typed marks
//     in the same places, as many words, and the same severity. A word with digits
//     is a word here: pod-a and pod-7 are names of the same things.
//   - Of these, masks in the order of their counts join the first group whose
//     most frequent mask agrees with them in at least 6 of 10 words; else they
//     begin a group.
//   - In a group of up to 8 masks each stays a pattern of its own: so few words are
//     rather a choice (get, list) than a name.
//   - In a larger group each place is looked at: where up to 8 different words
//     stand, they still are a choice and tell patterns apart, as long as that
//     makes no more than 16 patterns of the group; where more stand, or words
//     with digits among them, the place becomes a token.
//
// The result does not depend on the order in which masks come. Patterns are
// written with tokens <Type-N>, N counting the tokens of a pattern from 1, and
// <Token-N> where the type is not known, as CloudWatch writes them.
package pattern
