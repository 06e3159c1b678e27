"""What a folder of migrations means: versions, file names, checksums, plans. Pure: no database."""
