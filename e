err
