"""Who stands where in a picture: crowds, catalogues, a studio."""
