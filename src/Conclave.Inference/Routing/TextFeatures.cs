namespace Conclave.Inference.Routing;

/// <summary>
/// What a question is about, as 128 numbers of one byte: words and pairs of neighbouring words, hashed with a sign and scaled to length 1. Similar questions
/// have a cosine near 1. The words themselves cannot be read back from it.
/// </summary>
internal static class TextFeatures
{
    public const int Size = 128;
    private const int LongestText = 2_048;
    private const int LongestWord = 32;

    /// <summary>The features of a text; all 0 for one without words.</summary>
    public static sbyte[] Of(string text)
    {
        Span<float> sums = stackalloc float[Size];
        sums.Clear();
        var hash = 0u;
        var previous = 0u;
        var length = 0;
        var end = Math.Min(text.Length, LongestText);
        for (var i = 0; i <= end; i++)
        {
            var letter = i < end ? text[i] : ' ';
            if (char.IsLetterOrDigit(letter))
            {
                hash = ((length == 0 ? 2166136261u : hash) ^ char.ToLowerInvariant(letter)) * 16777619;
                if (++length <= LongestWord)
                    continue;
            }

            if (length == 0)
                continue;
            Add(sums, hash, 1);
            if (previous != 0)
                Add(sums, (previous * 31) ^ hash, 0.5f);
            (previous, length) = (hash, 0);
        }

        var norm = 0f;
        foreach (var sum in sums)
            norm += sum * sum;
        var features = new sbyte[Size];
        if (norm == 0)
            return features;
        norm = MathF.Sqrt(norm);
        for (var i = 0; i < Size; i++)
            features[i] = (sbyte)MathF.Round(sums[i] / norm * 127);
        return features;
    }

    /// <summary>How similar two texts are: the cosine, at most 1.</summary>
    public static double Similarity(ReadOnlySpan<sbyte> some, ReadOnlySpan<sbyte> other)
    {
        var (product, a, b) = (0, 0, 0);
        for (var i = 0; i < Size; i++)
        {
            product += some[i] * other[i];
            a += some[i] * some[i];
            b += other[i] * other[i];
        }

        return a == 0 || b == 0 ? 0 : product / Math.Sqrt((double)a * b);
    }

    // The hash is mixed once more: FNV's low bits alone are not even.
    private static void Add(Span<float> sums, uint hash, float weight)
    {
        hash ^= hash >> 16;
        hash *= 0x7feb352d;
        hash ^= hash >> 15;
        sums[(int)(hash % Size)] += (hash & 0x8000_0000) == 0 ? weight : -weight;
    }
}
