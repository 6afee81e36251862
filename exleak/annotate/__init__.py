"""The human check: do annotators agree with the automatic rate?

``exleak annotate export`` writes blinded pairs of sentences, ``exleak annotate agreement`` reads
the annotators' answers. Data flows one way: run → sample → items and key → answers → agreement
among annotators → agreement with the instrument → report.
"""
