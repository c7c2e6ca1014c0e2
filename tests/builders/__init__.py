"""What tests of several rooms make, start and compare with; a file for each subject. No test stands in here."""
